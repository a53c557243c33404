"""What the page lists: every case in the order of interest, and the figures at its top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gate.report import wording
from gate.report.record import DecisionRecord, SuiteRecord
from gate.results import Case, CaseOutcome, Decision, Measurement, Reason, Severity, Tally

# A browser stays quick with this many rows on screen; the filters and a button reach the rest.
ROWS_SHOWN = 200
# What is behind a failure is shown for this many of them and up to this length; decision.json has all of it.
DETAILS_SHOWN = 200
DETAIL_LENGTH = 20_000

NOT_RUN = "not run"
FLAKY = "flaky"
_ORDER = (
    CaseOutcome.FAILED,
    CaseOutcome.ERROR,
    NOT_RUN,
    FLAKY,
    CaseOutcome.WARNING,
    CaseOutcome.SKIPPED,
    CaseOutcome.PASSED,
    CaseOutcome.NOT_APPLICABLE,
)


@dataclass(frozen=True)
class Row:
    """One line of the table of cases; ``case`` is None for one that was planned and never reported."""

    id: str
    outcome: str
    suite: str
    case: Case | None
    details: str

    @property
    def title(self) -> str:
        return (self.case.title if self.case else "") or self.id.rsplit("::", 1)[-1]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return self.case.measurements if self.case else ()


@dataclass(frozen=True)
class Tile:
    """A figure at the top of the report."""

    name: str
    value: str
    note: str = ""
    tone: str = ""


def suite_label(suite: SuiteRecord) -> str:
    """A name that tells the runs of one suite apart: ``checks``, ``smoke candidate``, ``smoke front``."""
    return suite.name if suite.phase in suite.name else f"{suite.name} {suite.phase}"


def why(record: DecisionRecord) -> tuple[Reason, ...]:
    """The reasons of the outcome. Where nothing spoke against the release: what was let through, and each GO."""
    if record.reasons:
        return record.reasons
    verdicts = [verdict for verdict in record.verdicts if verdict.decision is Decision.GO]
    failed = [
        Reason("let_through", Decision.GO, f"let through: {wording.told(case)}", severity=case.severity, case=case.id)
        for suite in record.suites
        for case in suite.cases
        if case.outcome in (CaseOutcome.FAILED, CaseOutcome.ERROR) and verdicts
    ]
    passed = [replace(item, text=f"{verdict.phase}: {item.text}") for verdict in verdicts for item in verdict.reasons]
    return (*failed, *passed)


def rows(record: DecisionRecord) -> list[Row]:
    """Every case of every suite: failures first, the severe before the rest, then in the order they ran."""
    found: list[Row] = []
    for suite in record.suites:
        label = suite_label(suite)
        found += [Row(case.id, FLAKY if case.flaky else str(case.outcome), label, case, "") for case in suite.cases]
        found += [Row(case_id, NOT_RUN, label, None, "") for case_id in suite.missing]
    severities = list(Severity)
    order = {str(name): place for place, name in enumerate(_ORDER)}
    found.sort(key=lambda row: (order[row.outcome], severities.index(row.case.severity) if row.case else 0))
    told = [Row(row.id, row.outcome, row.suite, row.case, _details(row.case)) for row in found[:DETAILS_SHOWN]]
    return told + found[DETAILS_SHOWN:]


def _details(case: Case | None) -> str:
    """What a failing case left behind, a flaky one the first time; the middle of a very long one is left out."""
    failed = case.attempts[0] if case and case.flaky else case
    if failed is None or failed.details.strip() == failed.message.strip():
        return ""
    if len(failed.details) <= DETAIL_LENGTH:
        return failed.details
    half = DETAIL_LENGTH // 2
    left_out = len(failed.details) - 2 * half
    return f"{failed.details[:half]}\n… {left_out:,} characters left out, see decision.json …\n{failed.details[-half:]}"


def counts(found: Sequence[Row]) -> list[tuple[str, int]]:
    """How many rows each outcome has, those that occur, worst first."""
    many = Counter(row.outcome for row in found)
    return [(str(name), many[name]) for name in _ORDER if many[name]]


def tiles(record: DecisionRecord, total: float) -> list[Tile]:
    """The figures a manager asks for, those that were measured; ``total`` in seconds."""
    made = [Tile("Took", wording.seconds(total))]
    if record.decided_at and any(step.undo for step in record.steps):
        back = (record.ended_at - record.decided_at).total_seconds()
        note = f"decided at {wording.clock(record.decided_at)}"
        made.append(Tile("From decision to end", wording.seconds(back), note))
    if record.readiness:
        ready = record.readiness
        note = f"at least {ready.minimum:g}" + (f" · risk {ready.risk}" if ready.risk else "")
        made.append(Tile("Readiness", f"{ready.total:.0f} / 100", note, "" if ready.total >= ready.minimum else "bad"))
    if record.suites:
        cases = [case for suite in record.suites for case in suite.cases]
        outcomes = Counter(case.outcome for case in cases)
        missing = sum(len(suite.missing) for suite in record.suites)
        bad = outcomes[CaseOutcome.FAILED] + outcomes[CaseOutcome.ERROR]
        tally = Tally.of(cases, missing)
        notes = [f"{bad} failed"] if bad else []
        notes += [f"{missing} not run"] if missing else []
        notes += tally.notes
        skipped = outcomes[CaseOutcome.SKIPPED]
        notes += [f"{skipped} skipped"] if skipped else []
        value = f"{tally.passed:,} of {tally.applicable:,}"
        made.append(Tile("Cases passed", value, " · ".join(notes), "bad" if bad else ""))
    switches = [s for s in record.traffic.switches if s.failed is not None] if record.traffic else []
    if switches:
        lost, tried = sum(s.failed or 0 for s in switches), sum(s.attempted or 0 for s in switches)
        made.append(Tile("Requests lost", f"{lost:,}", f"of {tried:,} while switching", "bad" if lost else ""))
    return made
