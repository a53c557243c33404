"""The suite's own record: what was planned, what each case came to. Kept as it happens, and told to the gate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from gate.pytest_plugin.facts import ATTRIBUTE
from gate.redact import Redactor
from gate.results import Case, CaseOutcome, Decision, Measurement, SuiteResult
from gate.suites import events
from gate.suites.events import Broken, Event, Finished, Label, Planned, Started

_LONGEST_DETAILS = 20_000
_WORST = (
    CaseOutcome.NOT_APPLICABLE,
    CaseOutcome.PASSED,
    CaseOutcome.WARNING,
    CaseOutcome.SKIPPED,
    CaseOutcome.ERROR,
    CaseOutcome.FAILED,
)


class EventFile:
    """The events file. A line is out of this process when ``write`` returns, whatever happens to it next.

    What a decision may rest on is on the disk as well. That costs milliseconds, so a case that merely begins or passes
    goes without: should the machine lose power, it counts as one that never reported.
    """

    def __init__(self, file: Path, redact: Redactor) -> None:
        self._stream: IO[str] = file.open("a", encoding="utf-8")
        self._redact = redact

    def write(self, event: Event) -> None:
        self._stream.write(events.to_line(event, self._redact) + "\n")
        self._stream.flush()
        if not (isinstance(event, Started) or (isinstance(event, Case) and event.outcome is CaseOutcome.PASSED)):
            os.fsync(self._stream.fileno())


@dataclass
class _Progress:
    """A case between its first report and its last."""

    label: Label = field(default_factory=Label)
    outcome: CaseOutcome | None = None
    seconds: float = 0.0
    messages: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    measurements: tuple[Measurement, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Recorder:
    """Turns pytest's reports, three to a case, into one ``Case`` each."""

    def __init__(self, file: EventFile | None) -> None:
        self._file = file
        self._began = time.monotonic()
        self._planned: tuple[str, ...] = ()
        self._labels: Mapping[str, Label] = {}
        self._open: dict[str, _Progress] = {}
        self._cases: dict[str, Case] = {}
        self._broken: list[str] = []

    def planned(self, ids: Iterable[str], labels: Mapping[str, Label]) -> None:
        self._planned, self._labels = tuple(ids), labels
        self._write(Planned(self._planned, self._labels))

    def started(self, case_id: str) -> None:
        self._write(Started(case_id))

    def broken(self, text: str) -> None:
        self._broken.append(text)
        self._write(Broken(text))

    def finished(self, exit_code: int) -> None:
        self._write(Finished(exit_code))

    def result(self, name: str) -> SuiteResult:
        """Everything recorded so far."""
        seconds = time.monotonic() - self._began
        return SuiteResult(name, self._planned, tuple(self._cases.values()), seconds, broken="; ".join(self._broken))

    def report(self, report: pytest.TestReport) -> None:
        """Takes in one report. A failure is told at once: the gate may decide on it before the teardown."""
        if str(report.outcome) == "rerun":  # set by plugins that repeat cases; the last attempt is told apart
            return
        progress = self._open.setdefault(report.nodeid, _Progress(self._labels.get(report.nodeid, Label())))
        # A subtest counts as its parent: pytest fails the parent only when somebody asks how to show it.
        _take(progress, report)
        crashed = report.when not in ("setup", "call", "teardown")
        if report.failed or report.when == "teardown" or crashed:
            self._tell(report.nodeid, progress)

    def _tell(self, case_id: str, progress: _Progress) -> None:
        case = _case(case_id, progress)
        before = self._cases.get(case_id)
        self._cases[case_id] = case
        if before is None or (before.outcome, before.message) != (case.outcome, case.message):
            self._write(case)

    def _write(self, event: Event) -> None:
        if self._file is not None:
            self._file.write(event)


def _take(progress: _Progress, report: pytest.TestReport) -> None:
    """Adds one phase of a case to what is known of it."""
    facts = _facts(report)
    if facts:
        label = facts["label"]
        progress.label = Label(**{**label, "severity": events.severity_of(label["severity"])})
        progress.warnings = facts["notes"]["warnings"]
        progress.measurements = tuple(map(events.measurement, facts["notes"]["measurements"]))
        progress.facts = facts["notes"]["facts"]
    if not hasattr(report, "context"):  # a subtest's time is part of its parent's
        progress.seconds += report.duration
    outcome, message = _phase(report, facts)
    if report.failed and not message and not progress.messages:
        message = _last_line(report.longreprtext)
    progress.outcome = max(filter(None, (progress.outcome, outcome)), key=_WORST.index, default=None)
    if message:
        progress.messages.append(message)
    if report.failed:
        progress.details.append(_details(report))


def _phase(report: pytest.TestReport, facts: Mapping[str, Any]) -> tuple[CaseOutcome | None, str]:  # noqa: PLR0911 - a table
    """What one phase of a case came to, and a line about it; a setup or teardown that passes comes to nothing."""
    message = facts.get("message", "")
    notes = facts.get("notes", {})
    if report.failed:
        broke = facts.get("checker", True)  # no facts: its process died
        return (CaseOutcome.ERROR if broke else CaseOutcome.FAILED), message
    if hasattr(report, "wasxfail"):
        if report.skipped:
            return CaseOutcome.SKIPPED, f"expected to fail, so it proves nothing: {report.wasxfail or message}"
        return CaseOutcome.WARNING, "passed, though it is marked as expected to fail"
    if report.skipped:
        if notes.get("not_applicable"):
            return CaseOutcome.NOT_APPLICABLE, message
        if any(figure["n"] == 0 for figure in notes.get("measurements", [])):
            return CaseOutcome.WARNING, ""  # its warning says what it could not tell
        return CaseOutcome.SKIPPED, message
    doubtful = any(figure["decision"] != Decision.GO for figure in notes.get("measurements", []))
    if doubtful or notes.get("warnings"):
        return CaseOutcome.WARNING, ""
    return (CaseOutcome.PASSED if report.when == "call" else None), ""


def _case(case_id: str, progress: _Progress) -> Case:
    outcome = progress.outcome or CaseOutcome.ERROR
    told = progress.messages if outcome in (CaseOutcome.FAILED, CaseOutcome.ERROR) else []
    return Case(
        id=case_id,
        category=progress.label.category,
        severity=progress.label.severity,
        outcome=outcome,
        seconds=round(progress.seconds, 6),
        title=progress.label.title,
        message="; ".join(filter(None, told or [*progress.messages, *progress.warnings])),
        details="\n".join(progress.details)[-_LONGEST_DETAILS:],
        measurements=progress.measurements,
        facts=progress.facts,
        corruption=progress.label.corruption,
    )


def _facts(report: pytest.TestReport) -> dict[str, Any]:
    facts: dict[str, Any] = getattr(report, ATTRIBUTE, {})
    return facts


def _details(report: pytest.TestReport) -> str:
    """The traceback and what the case printed."""
    printed = [f"--- {name} ---\n{content}" for name, content in report.sections]
    return "\n".join([report.longreprtext, *printed])


def _last_line(text: str) -> str:
    return next(iter(reversed(text.strip().splitlines())), "")
