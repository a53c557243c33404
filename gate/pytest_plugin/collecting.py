"""Collection: contradictory markers refuse the whole run, and only the wanted severities are planned."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest

from gate.pytest_plugin import labels
from gate.pytest_plugin.facts import scrub
from gate.pytest_plugin.recorder import Recorder
from gate.pytest_plugin.requirements import OPTION, REQUIREMENTS
from gate.pytest_plugin.session import Session

_SHOWN = 10
_MARKERS = "markers"


class Collecting:
    """Hooks of the collection; ``recorder`` is None in a worker of xdist."""

    def __init__(self, session: Session, recorder: Recorder | None) -> None:
        self._session = session
        self._recorder = recorder
        self._faults: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if report.failed:
            scrub(report, collector.config, self._session.redact)
        if isinstance(collector, pytest.Module) and report.passed:
            collected = {getattr(node, "originalname", None) or node.name for node in report.result}
            self._faults += labels.marks_on_nothing(collector.obj, collected)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self._recorder is not None:
            text = report.longreprtext
            ours = report.nodeid == _MARKERS
            self._recorder.broken(text if ours else f"{report.nodeid or 'collection'}: {_last_line(text)}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        faults = [*self._faults, *(fault for item in items for fault in labels.faults(item, REQUIREMENTS, OPTION))]
        if any(self._session.redact(item.nodeid) != item.nodeid for item in items):
            faults.append("the id of a parametrized case holds a secret: give the parameters ids of their own")
        faults += self._phase_faults(items)
        if faults:
            # Told as a failed collection, which ends the run here and under xdist alike.
            told = list(dict.fromkeys(faults))
            more = [f"… and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
            text = self._session.redact("\n".join([*told[:_SHOWN], *more]))
            config.hook.pytest_collectreport(report=pytest.CollectReport(_MARKERS, "failed", text, []))
            items.clear()
        self._leave_out(config, items)

    def _phase_faults(self, items: list[pytest.Item]) -> list[str]:
        """Alone, the folder says whether a run is about a release to come or one that runs; both at once is neither."""
        if self._session.given is not None:
            return []
        environment = self._session.environment
        smoke = {self._is_smoke(item.path) for item in items}
        if smoke:
            self._session.smoke = True in smoke
        if len(smoke) > 1:
            checks, after = environment.checks.folders[0], environment.smoke.folders[0]
            return [f"checks and smoke tests in one run; run them one after the other: pytest {checks}, pytest {after}"]
        return []

    def _is_smoke(self, file: Path) -> bool:
        folders = [self._session.root / name for name in self._session.environment.smoke.folders]
        return any(folder in file.parents for folder in folders)

    def _leave_out(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Cases a person does by hand, and what the gate did not ask for, are not part of the plan."""
        given = self._session.given
        only, wanted = (given.only, frozenset(given.cases)) if given is not None else ((), frozenset())
        by_hand = not config.option.markexpr
        left_out = [
            item
            for item in items
            if (only and labels.label(item).severity not in only)
            or (wanted and item.nodeid not in wanted)
            or (by_hand and item.get_closest_marker("manual"))
        ]
        if left_out:
            items[:] = [item for item in items if item not in left_out]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._recorder is not None and session.items:
            known = {item.nodeid: labels.label(item) for item in session.items}
            self._recorder.planned(known, known)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        if self._recorder is not None:
            self._recorder.planned(ids, {})
        if self._session.given is None:  # the workers collect, and this process gives the verdict
            files = {self._session.root / case_id.partition("::")[0] for case_id in ids}
            self._session.smoke = any(map(self._is_smoke, files))


def _last_line(text: str) -> str:
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "could not be collected")
    return re.sub(r"^E\s+", "", last)  # pytest's mark on an error's own lines
