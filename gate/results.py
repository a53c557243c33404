"""What cases, suites and deployments result in: plain frozen values that every other module shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a run of the gate ended. ``exit_code`` is the contract with scripts and CI."""

    RELEASED = "RELEASED"
    ROLLED_BACK = "ROLLED_BACK"
    USAGE = "USAGE"
    REFUSED = "REFUSED"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    RESTORED = "RESTORED"
    LOCKED = "LOCKED"
    HELD = "HELD"
    INTERRUPTED = "INTERRUPTED"
    PLANNED = "PLANNED"  # --dry-run only: the checks say GO and nothing was touched

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Outcome.RELEASED: 0,
    Outcome.ROLLED_BACK: 1,
    Outcome.USAGE: 2,
    Outcome.REFUSED: 3,
    Outcome.ROLLBACK_FAILED: 4,
    Outcome.LOCKED: 5,
    Outcome.HELD: 6,
    Outcome.INTERRUPTED: 130,
    Outcome.RESTORED: 0,
    Outcome.PLANNED: 0,
}


class Severity(StrEnum):
    """How much a case matters. An unknown severity is treated as critical by whoever reads one."""

    CRITICAL = "critical"
    HIGH = "high"
    MINOR = "minor"

    @property
    def weight(self) -> int:
        """Points of the readiness score: critical 5, high 3, minor 1."""
        return {Severity.CRITICAL: 5, Severity.HIGH: 3, Severity.MINOR: 1}[self]


class Category(StrEnum):
    """The eight readiness categories."""

    DEPLOYMENT_SCRIPTS = "Deployment Scripts"
    CI_CD = "CI/CD Pipeline"
    MIGRATIONS = "Database Migrations"
    ENVIRONMENT = "Environment Validation"
    RESOURCES = "Resource Limits"
    CORE_FLOWS = "Core Business Flows"
    SECURITY = "Security"
    DOCUMENTATION = "Documentation"


class CaseOutcome(StrEnum):
    """How one case ended.

    ``failed``: it saw its fault. ``error``: the checker itself broke. ``warning``: passed with a reservation, or
    could not tell. ``skipped``: required but not run, so nothing was measured. ``not_applicable``: the environment
    declares that there is nothing to measure (no cache, say).
    """

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not_applicable"


class Decision(StrEnum):
    """What the rules say, from best to worst. The worst of several wins."""

    GO = "GO"
    HOLD = "HOLD"
    NO_GO = "NO-GO"
    ROLLBACK = "ROLLBACK"

    @staticmethod
    def worst(decisions: list[Decision]) -> Decision:
        """The worst of ``decisions``; nothing decided is HOLD, never GO."""
        order = list(Decision)
        return max(decisions, key=order.index, default=Decision.HOLD)


@dataclass(frozen=True)
class Measurement:
    """A figure that a case measured, with the limit it was held against (as text) and the sample size behind it."""

    signal: str
    value: float
    unit: str = ""
    n: int = 1
    limit: str = ""
    decision: Decision = Decision.GO
    detail: str = ""


@dataclass(frozen=True)
class Attempt:
    """One run of a case that ran more than once: how it ended, and what it said."""

    outcome: CaseOutcome
    seconds: float
    message: str = ""
    details: str = ""
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True)
class Case:
    """One test case's record. ``id`` is pytest's node id; ``seconds`` its whole duration.

    ``corruption``: what it judges is data, so its failure is never run again. A ``flaky`` one failed, and passed when
    it was run once more: that run is what the rules see. ``confirmation`` tells what a second run said of a failure,
    or why there was none; ``attempts`` are the runs themselves, in their order. ``facts`` are plain values that it
    told those who come after it.
    """

    id: str
    category: str
    severity: Severity
    outcome: CaseOutcome
    seconds: float
    title: str = ""
    message: str = ""
    details: str = ""
    measurements: tuple[Measurement, ...] = ()
    corruption: bool = False
    flaky: bool = False
    confirmation: str = ""
    attempts: tuple[Attempt, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inconclusive(self) -> bool:
        """Whether it ran and could not tell: something was measured from no sample at all."""
        return any(figure.n == 0 for figure in self.measurements)


@dataclass(frozen=True)
class SuiteResult:
    """What a suite reported, against what it planned.

    ``planned`` are the ids collected; ``stopped`` says why the run was ended early, ``broken`` why it could not run
    (a crash, a collection error, a time-out). Coverage is planned ids against reported ids, never pytest's exit code.
    """

    name: str
    planned: tuple[str, ...]
    cases: tuple[Case, ...]
    seconds: float
    stopped: str = ""
    broken: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Planned cases that never reported."""
        reported = {case.id for case in self.cases}
        return tuple(case_id for case_id in self.planned if case_id not in reported)

    def of(self, *outcomes: CaseOutcome) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.outcome in outcomes)


@dataclass(frozen=True)
class Tally:
    """How the cases of a suite came out, as every summary counts them; what does not apply is left out.

    ``passed`` includes those ``with_reservation`` and the ``flaky`` ones. One that could not tell (``unclear``) has
    not passed.
    """

    passed: int
    applicable: int
    unclear: int
    with_reservation: int
    flaky: int = 0

    @staticmethod
    def of(cases: Sequence[Case], missing: int = 0) -> Tally:
        """Counts ``cases``, and ``missing`` ones that never reported."""
        good = [case for case in cases if case.outcome in (CaseOutcome.PASSED, CaseOutcome.WARNING)]
        passed = [case for case in good if not case.inconclusive]
        return Tally(
            passed=len(passed),
            applicable=missing + len([case for case in cases if case.outcome is not CaseOutcome.NOT_APPLICABLE]),
            unclear=len(good) - len(passed),
            with_reservation=len([case for case in passed if case.outcome is CaseOutcome.WARNING]),
            flaky=len([case for case in cases if case.flaky]),
        )

    @property
    def notes(self) -> list[str]:
        """What the number of passed cases does not say."""
        found = [f"{self.unclear} could not tell"] if self.unclear else []
        found += [f"{self.with_reservation} with a reservation"] if self.with_reservation else []
        return found + ([f"{self.flaky} flaky"] if self.flaky else [])

    def __str__(self) -> str:
        return ", ".join([f"{self.passed} of {self.applicable} cases passed", *self.notes])


@dataclass(frozen=True)
class Reason:
    """Why a decision was taken, in numbers: ``text`` is the whole sentence a person reads, ``next_step`` the command
    that does something about it, if there is one."""

    signal: str
    decision: Decision
    text: str
    value: float | None = None
    limit: str = ""
    n: int | None = None
    severity: Severity = Severity.HIGH
    case: str = ""
    next_step: str = ""


@dataclass(frozen=True)
class Verdict:
    """A decision with every reason behind it; the reasons that decided come first."""

    decision: Decision
    reasons: tuple[Reason, ...] = field(default=())
