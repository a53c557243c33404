"""The controller's side of a run: every report goes to the recorder, and a run by hand ends with a verdict."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from gate.errors import GateError
from gate.judging.verdict import counted
from gate.pytest_plugin import alone
from gate.pytest_plugin.recorder import Recorder
from gate.pytest_plugin.session import Session, told
from gate.results import Decision, Verdict


class Reporting:
    """Hooks that see the whole run."""

    def __init__(self, config: pytest.Config, session: Session, recorder: Recorder, *, alone: bool) -> None:
        self._config = config
        self._session = session
        self._recorder = recorder
        self._alone = alone and not config.option.collectonly
        self._deselected = 0
        self._lines: list[str] = []
        self._title = ""
        self._verdict: Verdict | None = None

    def pytest_report_header(self) -> str | None:
        return self._session.redact(self._subject()) if self._alone else None

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected += len(items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._recorder.started(nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, Any, Any]:
        self._recorder.report(report)
        crashed = str(report.when) not in ("setup", "call", "teardown")
        if crashed:
            report.when = "call"
        done = yield
        if crashed:
            # xdist tells a dead worker's case in one report; reporters that wait for the teardown would leave it out.
            end = pytest.TestReport(report.nodeid, report.location, {}, "passed", None, "teardown")
            self._config.hook.pytest_runtest_logreport(report=end)
        return done

    def pytest_internalerror(self, excrepr: object) -> None:
        last = next(iter(reversed(str(excrepr).strip().splitlines())), "")
        self._recorder.broken(f"pytest broke: {self._session.redact(last)}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        if not isinstance(excinfo.value, pytest.Session.Interrupted):  # pytest's own, after errors told already
            self._recorder.broken(self._session.redact(str(excinfo.value)) or "interrupted")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._recorder.finished(int(exitstatus))
        if not self._alone:
            return
        smoke = self._session.smoke
        result = self._recorder.result("smoke" if smoke else "checks")
        self._verdict, scored = alone.judged(result, self._session.environment, smoke=smoke, whole=self._whole())
        self._title = alone.title(self._verdict, len(scored.gaps))
        reasons = [reason.text for reason in self._verdict.reasons] if self._verdict else [counted(result)]
        self._lines = [self._subject(), *alone.summary(scored), self._title, *(f"  {text}" for text in reasons)]
        self._settle(session, exitstatus)

    def _settle(self, session: pytest.Session, exitstatus: int) -> None:
        """Makes the exit status say the verdict; without one, and after an interruption, it stays pytest's own."""
        if self._verdict is None:
            return
        if self._verdict.decision is Decision.GO:
            if exitstatus == pytest.ExitCode.TESTS_FAILED:
                session.exitstatus = pytest.ExitCode.OK
        elif exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._title:
            return
        good = self._verdict is not None and self._verdict.decision is Decision.GO
        terminalreporter.write_sep("=", f"deploy gate: {self._session.environment.name}", bold=True)
        for line in self._lines:
            judged = line == self._title and self._verdict is not None
            colour = {"green": good, "red": not good} if judged else {}
            terminalreporter.write_line(self._session.redact(line), bold=not line.startswith(" "), **colour)

    def _subject(self) -> str:
        try:
            return alone.subject(self._session.context)
        except GateError as fault:
            return told(fault)

    def _whole(self) -> bool:
        """Whether all cases of the suite's folders were asked for: nothing deselected, no path below a folder."""
        suite = self._session.environment.smoke if self._session.smoke else self._session.environment.checks
        given = [Path(argument.split("::")[0]).absolute() for argument in self._config.args]
        folders = [self._session.root / name for name in suite.folders]
        narrowed = any("::" in argument for argument in self._config.args)
        covered = all(any(path in (folder, *folder.parents) for path in given) for folder in folders)
        # Under xdist the workers deselect, and this process only knows what was asked for.
        options = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob")
        asked = any(getattr(self._config.option, name, None) for name in options)
        return covered and not narrowed and not asked and not self._deselected
