"""What a run finds out, collected as it happens; the report and ``decision.json`` are made of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gate.engines.base import Usage
from gate.judging.readiness import Readiness
from gate.results import Decision, Reason, SuiteResult, Verdict

if TYPE_CHECKING:
    from gate.conditions.permission import Permission
    from gate.database.invariants import Invariant
    from gate.evidence.standing import Standing


LIVE = "live traffic"
"""The phase of a verdict that a watch gave."""


@dataclass
class StepRecord:
    """One step: when it began, how long it took in seconds, how it ended and whether it was undone."""

    name: str
    started_at: datetime
    status: str = "running"
    seconds: float = 0.0
    detail: str = ""
    undone: bool | None = None
    undo_at: datetime | None = None
    undo_seconds: float = 0.0
    undo_detail: str = ""


@dataclass(frozen=True)
class SuiteRun:
    """A suite as it ran in one phase, and what the rules said about it.

    ``least`` is how many cases had to run, ``owed`` the signals that had to be measured.
    """

    phase: str
    result: SuiteResult
    verdict: Verdict
    at: datetime
    least: int | None = None
    owed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Switch:
    """A share of the traffic pointed from one instance at another; ``milliseconds`` is how long the act took."""

    at: datetime
    origin: str | None
    target: str | None
    milliseconds: float
    share: float = 1.0


@dataclass
class Evidence:
    """Everything one run found out."""

    steps: list[StepRecord] = field(default_factory=list)
    suites: list[SuiteRun] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    """What of the evidence that an earlier process left was not as it had been sealed."""
    switches: list[Switch] = field(default_factory=list)
    live: list[tuple[datetime, Verdict]] = field(default_factory=list)
    """What the watch said at the end of each traffic step, and when."""
    usage: list[tuple[datetime, Usage]] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    owed: tuple[str, ...] = ()
    """Emergencies that were still to be signed for when it ended, a sentence each."""
    decided_at: datetime | None = None
    backup: dict[str, Any] | None = None
    migrations: dict[str, Any] | None = None
    invariants: list[tuple[str, list[Invariant], str]] = field(default_factory=list)
    """How the data invariants stood: at which moment, what was found, or why they could not be asked."""
    readiness: Readiness | None = None
    standing: Standing | None = None
    """Gaps and readiness beside the release before; known once the run has ended."""
    permission: Permission | None = None
    """How what the deployment had to wait for stood when it was last asked."""

    def fail(self, reasons: list[Reason], at: datetime) -> None:
        """Remembers why, and when it was decided; the first decision stays the deciding one."""
        self.reasons += reasons
        self.decided_at = self.decided_at or at

    @property
    def checks(self) -> int:
        """Checks collected: what the next release's coverage is held against."""
        return sum(len(run.result.planned) for run in self.suites if run.phase == "checks")

    @property
    def cases(self) -> int:
        """Cases measured on the candidate: what the next release's coverage is held against."""
        phases = [run.phase for run in self.suites]
        phase = "candidate" if "candidate" in phases else "front"  # where users wait there is no time for both
        return sum(
            len([case for case in run.result.cases if case.outcome != "not_applicable"])
            for run in self.suites
            if run.phase == phase
        )


def reason(signal: str, text: str, decision: Decision = Decision.ROLLBACK) -> Reason:
    """A reason that has no figure of its own: something that did not work."""
    return Reason(signal=signal, decision=decision, text=text)
