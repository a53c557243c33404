"""Gaps over time: every case that did not pass, from the run that first saw it to the one that saw it pass. Pure.

A gap is known by its case's id. It is resolved by a pass of that case, never by silence: while the case does not run it
stays open. Only where its suite ran whole and does not have the case any more it is ``gone``, and counts as neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gate.results import Case, CaseOutcome, Severity, SuiteResult

RESOLVED = "resolved"
GONE = "gone"
_BAD = (CaseOutcome.FAILED, CaseOutcome.ERROR, CaseOutcome.SKIPPED)


@dataclass(frozen=True)
class Seen:
    """A case that did not pass, as one run saw it."""

    case: str
    category: str
    severity: Severity
    title: str
    message: str


@dataclass(frozen=True)
class Gap:
    """A gap as it is remembered: opened in one deployment (or plan), last seen in one, closed in one or still open."""

    seen: Seen
    opened_in: int
    opened_at: str
    seen_in: int
    closed_in: int | None = None
    closed_at: str | None = None
    closed_as: str | None = None
    id: int = 0

    @property
    def open(self) -> bool:
        return self.closed_in is None


@dataclass(frozen=True)
class Ran:
    """A suite that ran: where its cases stand in the project, and whether silence of one means that it failed."""

    result: SuiteResult
    folders: tuple[str, ...]
    strict: bool


@dataclass(frozen=True)
class Changes:
    """What a run changes of the gaps that were open before it."""

    opened: tuple[Seen, ...]
    still: tuple[tuple[Gap, Seen], ...]
    resolved: tuple[Gap, ...]
    gone: tuple[Gap, ...]


@dataclass(frozen=True)
class Tally:
    """Gaps of one severity there ever were, and how many of them are resolved."""

    resolved: int
    total: int

    def __str__(self) -> str:
        return f"{self.resolved}/{self.total} resolved"


def changes(before: Iterable[Gap], suites: Sequence[Ran]) -> Changes:
    """What became of the gaps that are open, and which are new; a case that ran twice is as bad as its worse run."""
    bad: dict[str, Seen] = {}
    good: set[str] = set()
    for ran in suites:
        for case in ran.result.cases:
            if case.outcome in _BAD or case.inconclusive:
                bad.setdefault(case.id, _seen(case))
            else:
                good.add(case.id)
        if ran.strict:
            for name in ran.result.missing:
                bad.setdefault(name, Seen(name, "unknown", Severity.CRITICAL, "", "never reported"))
    standing = {gap.seen.case: gap for gap in before if gap.open}
    return Changes(
        opened=tuple(seen for name, seen in bad.items() if name not in standing),
        still=tuple((gap, bad[name]) for name, gap in standing.items() if name in bad),
        resolved=tuple(gap for name, gap in standing.items() if name in good - bad.keys()),
        gone=tuple(gap for name, gap in standing.items() if name not in good | bad.keys() and _gone(name, suites)),
    )


def tally(gaps: Iterable[Gap]) -> dict[Severity, Tally]:
    """By severity, each case by its newest gap; what is gone counts nowhere."""
    newest: dict[str, Gap] = {}
    for gap in gaps:
        known = newest.get(gap.seen.case)
        if known is None or gap.id >= known.id:
            newest[gap.seen.case] = gap
    counted = [gap for gap in newest.values() if gap.closed_as != GONE]
    return {
        severity: Tally(len([gap for gap in own if not gap.open]), len(own))
        for severity in Severity
        if (own := [gap for gap in counted if gap.seen.severity is severity])
    }


def told(counts: Mapping[Severity, Tally]) -> str:
    """``critical 7/7 resolved · high 14/15 resolved``."""
    return " · ".join(f"{severity} {many}" for severity, many in counts.items()) or "no gap was ever found"


def _seen(case: Case) -> Seen:
    return Seen(case.id, case.category, case.severity, case.title, case.message or str(case.outcome))


def _gone(case: str, suites: Sequence[Ran]) -> bool:
    """Whether a suite that ran whole has this place, and not this case."""
    whole = [ran for ran in suites if not ran.result.broken and not ran.result.stopped and not ran.result.missing]
    return any(
        case not in ran.result.planned and any(case.startswith(f"{folder.rstrip('/')}/") for folder in ran.folders)
        for ran in whole
    )
