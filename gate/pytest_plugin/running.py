"""Each case as it runs, here or in a worker of xdist: what does not apply is left out, every report is scrubbed."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from gate.pytest_plugin import labels
from gate.pytest_plugin.facts import attach, scrub
from gate.pytest_plugin.requirements import lacking
from gate.pytest_plugin.session import Session, notes_of

_PACKAGES = Path(pytest.__file__).parents[1]


class Running:
    """Hooks around each case."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self._config = config
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        required = labels.requirements(item)
        if not required:
            return
        lacks = lacking(required, self._session.environment, self._session.context)
        if lacks is not None:
            notes_of(item).not_applicable = True
            pytest.skip(lacks)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.excinfo is not None:  # the frames of pytest itself, above the case, help nobody
            call.excinfo.traceback = call.excinfo.traceback.cut(excludepath=_PACKAGES)
        report = yield
        attach(report, item, call)
        scrub(report, self._config, self._session.redact)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A subtest's report is made of one that was scrubbed, and what it printed is added afterwards.
        if hasattr(report, "context"):
            scrub(report, self._config, self._session.redact)
