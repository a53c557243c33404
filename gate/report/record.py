"""The decision record: everything known about one deployment, as one document (``decision.json``, format 1).

The HTML report is made from this document alone. Times are aware datetimes, durations seconds, sizes bytes, shares
0 to 1. How it becomes JSON and comes back is ``gate.report.document``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from gate.judging.limits import Rule, Unit
from gate.report.permission import PermissionRecord
from gate.results import Case, Decision, Outcome, Reason, Severity, SuiteResult

FORMAT: Final = 1


class StepStatus(StrEnum):
    """How a step of the pipeline ended; ``undone``: it was done, then taken back."""

    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Person:
    """Who started the run, and on which machine."""

    user: str
    host: str


@dataclass(frozen=True)
class ReleaseRecord:
    """A release: its version, and the digest that names its content."""

    version: str
    digest: str
    commit: str | None = None
    folder: str | None = None
    author: str | None = None


@dataclass(frozen=True)
class Serving:
    """What answers at the front door when the run ends, as the gate last proved it."""

    version: str
    digest: str


@dataclass(frozen=True)
class PhaseVerdict:
    """What the rules said at one point of the pipeline."""

    phase: str
    decision: Decision
    reasons: tuple[Reason, ...]
    at: AwareDatetime


@dataclass(frozen=True)
class Undo:
    """How taking a step back went."""

    seconds: float
    detail: str = ""
    ok: bool = True
    started_at: AwareDatetime | None = None


@dataclass(frozen=True)
class StepRecord:
    """One step of the pipeline. ``detail`` is the one line a person reads beside its name."""

    name: str
    status: StepStatus
    started_at: AwareDatetime | None
    seconds: float
    detail: str = ""
    undo: Undo | None = None


@dataclass(frozen=True)
class CategoryScore:
    """A readiness category: ``score`` 0 to 100, None when nothing was measured; ``before`` at the last release."""

    name: str
    score: float | None
    cases: int
    weight: float = 1.0
    before: float | None = None


@dataclass(frozen=True)
class Gap:
    """A case that failed, or that should have run and did not. ``since``: the deployment that found it first; ``new``:
    the last release did not have it; ``unseen``: it did not run this time, and is open from before."""

    case: str
    severity: Severity
    message: str
    category: str = ""
    since: int | None = None
    new: bool | None = None
    unseen: bool = False


@dataclass(frozen=True)
class GapTally:
    """Gaps of one severity that there ever were here, and how many of them are resolved."""

    severity: Severity
    resolved: int
    total: int


@dataclass(frozen=True)
class ReadinessRecord:
    """How ready the release was before anything was touched; ``inputs`` are the figures behind confidence and risk,
    ``points`` what each thing added to the risk. ``since`` is the last release, ``resolved`` the gaps closed since."""

    total: float
    minimum: float
    categories: tuple[CategoryScore, ...]
    gaps: tuple[Gap, ...] = ()
    confidence: float | None = None
    risk: str = ""
    inputs: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    before: float | None = None
    points: Mapping[str, int] = field(default_factory=dict)
    since: str | None = None
    resolved: tuple[Gap, ...] = ()
    tally: tuple[GapTally, ...] = ()


@dataclass(frozen=True)
class SuiteRecord:
    """One run of a suite. ``planned`` cases were collected, ``missing`` of them never reported.

    ``page`` is the file name of its pytest-html page beside the report, if there is one. ``least`` is how many cases
    had to run, ``owed`` the signals that had to be measured.
    """

    name: str
    phase: str
    planned: int
    seconds: float
    cases: tuple[Case, ...]
    missing: tuple[str, ...] = ()
    stopped: str = ""
    broken: str = ""
    page: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*\.html)?$")] = ""
    least: int | None = None
    owed: tuple[str, ...] = ()

    @staticmethod
    def of(
        result: SuiteResult, phase: str, page: str = "", *, least: int | None = None, owed: Iterable[str] = ()
    ) -> SuiteRecord:
        return SuiteRecord(
            name=result.name,
            phase=phase,
            planned=len(result.planned),
            seconds=result.seconds,
            cases=result.cases,
            missing=result.missing,
            stopped=result.stopped,
            broken=result.broken,
            page=page,
            least=least,
            owed=tuple(sorted(owed)),
        )


@dataclass(frozen=True)
class RuleRecord:
    """A rule in force: the limits as written, and their values in the signal's base unit for charts."""

    signal: str
    unit: Unit
    go: str | None = None
    rollback: str | None = None
    go_value: float | None = None
    rollback_value: float | None = None
    min_n: int = 1
    severity: Severity = Severity.HIGH
    dry_run: bool = False

    @staticmethod
    def of(rule: Rule) -> RuleRecord:
        return RuleRecord(
            signal=rule.signal,
            unit=rule.unit,
            go=rule.go.text if rule.go else None,
            rollback=rule.rollback.text if rule.rollback else None,
            go_value=rule.go.value if rule.go else None,
            rollback_value=rule.rollback.value if rule.rollback else None,
            min_n=rule.min_n,
            severity=rule.severity,
            dry_run=rule.dry_run,
        )


@dataclass(frozen=True)
class BackupRecord:
    """The backup taken before the migration; ``verified_seconds`` is None when it was not restored and compared."""

    id: str
    file: str
    bytes: int
    sha256: str
    seconds: float
    verified_seconds: float | None = None
    tables: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class RevisionRecord:
    """A migration that was applied. ``kind``: ``expand`` (the earlier release can live with it), ``contract`` (by its
    mark it needs the old form to be gone) or ``irreversible`` (it cannot be taken back)."""

    id: str
    title: str
    seconds: float | None = None
    kind: Literal["", "expand", "contract", "irreversible"] = ""


@dataclass(frozen=True)
class DryRunRecord:
    """The migrations on a copy of the data: up, down again, and what differed from the start after that."""

    up_seconds: float
    down_seconds: float | None = None
    schema_differences: tuple[str, ...] = ()
    data_differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class MigrationsRecord:
    """From which revision to which the database went; None is an empty database."""

    from_revision: str | None
    to_revision: str | None
    revisions: tuple[RevisionRecord, ...] = ()
    dry_run: DryRunRecord | None = None
    way_back: str = ""


@dataclass(frozen=True)
class InvariantRecord:
    """A rule about the data: it holds when its query returns no rows; ``error``: it could not be asked."""

    name: str
    rows: int
    sample: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class InvariantRun:
    """All invariants at one moment: ``before``, ``migrated``, ``smoke``, ``restored`` …"""

    moment: str
    results: tuple[InvariantRecord, ...]


@dataclass(frozen=True)
class Switch:
    """Traffic moved from one release to another, and what clients saw of it."""

    at: AwareDatetime
    to_release: str
    from_release: str | None = None
    milliseconds: float | None = None
    attempted: int | None = None
    failed: int | None = None
    longest_gap_ms: float | None = None
    share: float = 1.0


@dataclass(frozen=True)
class TrafficSample:
    """Live traffic on one release during one interval; ``p95`` in seconds."""

    at: AwareDatetime
    release: str
    requests: int
    errors: int
    p95: float | None = None


@dataclass(frozen=True)
class EvidencePoint:
    """How far the evidence on errors was, as shares of what is needed: 1 decides that it is bad, or healthy."""

    at: AwareDatetime
    bad: float
    good: float


@dataclass(frozen=True)
class WatchRecord:
    """All that a watch saw: rows of observations, times in seconds since ``began_at``. ``replay`` reads it.

    ``held``: over a release that waited for a person, who decides anything but a rollback.
    """

    began_at: AwareDatetime
    observations: tuple[tuple[Any, ...], ...]
    held: bool = False


@dataclass(frozen=True)
class TrafficRecord:
    """Every switch, and where live traffic was watched: its seconds, the evidence, and all that was seen."""

    switches: tuple[Switch, ...] = ()
    samples: tuple[TrafficSample, ...] = ()
    evidence: tuple[EvidencePoint, ...] = ()
    watches: tuple[WatchRecord, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """``counts[i]`` values lay below ``bounds[i]`` and not below the bound before it; one more count is the rest."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError("a histogram has one count more than it has bounds")


@dataclass(frozen=True)
class ResponseTime:
    """Response times of one route, in seconds."""

    phase: str
    route: str
    n: int
    p50: float | None
    p95: float | None
    histogram: Histogram | None = None


@dataclass(frozen=True)
class ResourceSample:
    """``cpu`` in cores, ``memory`` in bytes."""

    at: AwareDatetime
    cpu: float | None
    memory: float | None


@dataclass(frozen=True)
class ResourceSeries:
    """What one service used over a phase, and what it may use."""

    service: str
    phase: str
    samples: tuple[ResourceSample, ...]
    cpu_limit: float | None = None
    memory_limit: float | None = None


@dataclass(frozen=True)
class LogTail:
    """The last lines of an instance, captured before it was stopped."""

    instance: str
    lines: tuple[str, ...]
    captured_at: AwareDatetime | None = None


@dataclass(frozen=True)
class Kept:
    """What is kept for a rollback, and until when; ``until`` None: until the next deployment is accepted."""

    instances: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()
    until: AwareDatetime | None = None


@dataclass(frozen=True)
class TickRecord:
    """One look at the release after it was accepted; ``slot`` is its number in the plan, from 1, ``acted`` what was
    done about it, ``notes`` what it could not ask."""

    slot: int
    at: AwareDatetime
    seconds: float
    decision: Decision
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    acted: str = ""


@dataclass(frozen=True)
class MonitoringRecord:
    """How the monitoring of the release stood ``at`` a time; ``not_green`` says why, empty when it was green.

    ``missed``: the numbers of the ticks that nobody ran.
    """

    at: AwareDatetime
    standing: str
    not_green: str
    planned: int
    missed: tuple[int, ...] = ()
    next_at: AwareDatetime | None = None
    ticks: tuple[TickRecord, ...] = ()


@dataclass(frozen=True)
class FileRecord:
    """A file beside the report, with what proves that it is unchanged."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class DecisionRecord:
    """One deployment, from the command to what serves at the end.

    ``decided_at`` is the moment the outcome was certain; ``next_step`` the command a person types next, if any;
    ``unproven`` what of the evidence before ``keep`` or ``recover`` went on with it was not as it had been sealed.
    Raises ValueError when ``exit_code`` is not the outcome's.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    format: Literal[1] = FORMAT
    outcome: Outcome
    exit_code: int
    environment: str
    app: str
    deployment: int
    started_at: AwareDatetime
    ended_at: AwareDatetime
    by: Person
    command: str
    release: ReleaseRecord | None
    stable_before: ReleaseRecord | None
    serving: Serving | None
    first_deployment: bool
    reasons: tuple[Reason, ...]
    steps: tuple[StepRecord, ...]
    action: str = "deploy"
    decided_at: AwareDatetime | None = None
    next_step: str = ""
    notes: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    verdicts: tuple[PhaseVerdict, ...] = ()
    rules: tuple[RuleRecord, ...] = ()
    permission: PermissionRecord | None = None
    readiness: ReadinessRecord | None = None
    suites: tuple[SuiteRecord, ...] = ()
    backup: BackupRecord | None = None
    migrations: MigrationsRecord | None = None
    invariants: tuple[InvariantRun, ...] = ()
    traffic: TrafficRecord | None = None
    response_times: tuple[ResponseTime, ...] = ()
    resources: tuple[ResourceSeries, ...] = ()
    logs: LogTail | None = None
    kept: Kept | None = None
    monitoring: MonitoringRecord | None = None
    contacts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    files: tuple[FileRecord, ...] = ()
    changelog: str = ""

    def __post_init__(self) -> None:
        if self.exit_code != self.outcome.exit_code:
            raise ValueError(f"exit code {self.exit_code} does not belong to {self.outcome}")
