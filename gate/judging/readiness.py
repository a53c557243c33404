"""How ready a release is: a score by category, the gaps, how sure we may be, and how risky it is. Pure.

A category's score is 100 × points / weight over its cases (critical 5, high 3, minor 1): a pass earns its whole
weight, a warning half of it, everything else nothing; what does not apply is left out. The total is the mean of the
categories that have cases, weighted as the environment says.

Confidence = evidence × track record. Evidence is the share of required cases that measured something. The track record
is the mean of what we believe of this environment's deployments after ``succeeded`` good and ``failed`` bad ones,
starting from ignorance: (1 + succeeded) / (2 + succeeded + failed).

Risk adds points: migrations 0 (none), 1 (expand), 2 (unknown), 4 (contract); critical gaps 4; high gaps that were seen
1 each, at most 2; evidence below 1: 1, below 0.8: 2; fewer than 5 earlier deployments: 1. LOW up to 1, MEDIUM up to
3, then HIGH.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gate.judging.way_back import WayBack
from gate.results import Case, CaseOutcome, Category, Severity, SuiteResult

_POINTS = {CaseOutcome.PASSED: 1.0, CaseOutcome.WARNING: 0.5}
_NEVER_REPORTED = "never reported"


class Change(StrEnum):
    """What a release's migrations do to the earlier release: it can live with ``expand``, not with ``contract``."""

    NONE = "none"
    EXPAND = "expand"
    UNKNOWN = "unknown"
    CONTRACT = "contract"


class Risk(StrEnum):
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


@dataclass(frozen=True)
class CategoryScore:
    """A category's score, 0 to 100, and how many cases made it; None where nothing applies."""

    name: str
    score: float | None
    cases: int
    weight: float


@dataclass(frozen=True)
class Gap:
    """A required case that did not pass; ``unknown`` when it could not tell."""

    case: str
    category: str
    severity: Severity
    message: str
    unknown: bool = False


@dataclass(frozen=True)
class Readiness:
    """The whole assessment; ``inputs`` are the figures that confidence and risk were made of, ``points`` what each
    thing added to the risk."""

    total: float
    categories: tuple[CategoryScore, ...]
    gaps: tuple[Gap, ...]
    confidence: float
    risk: Risk
    inputs: Mapping[str, str | float]
    points: Mapping[str, int]


def assess(
    suite: SuiteResult,
    weights: Mapping[str, float],
    *,
    succeeded: int = 0,
    failed: int = 0,
    change: Change | None = None,
) -> Readiness:
    """The readiness that the checks in ``suite`` show.

    ``weights`` of categories default to 1. ``succeeded`` and ``failed`` count this environment's earlier deployments.
    ``change`` is read from the migration checks where nobody says it.
    """
    applicable = [case for case in suite.cases if case.outcome is not CaseOutcome.NOT_APPLICABLE]
    categories = _categories(applicable, weights)
    counted = [(item.score, item.weight) for item in categories if item.score is not None]
    weight = sum(item for _, item in counted)
    total = sum(score * item for score, item in counted) / weight if weight else 0.0
    gaps = _gaps(suite, applicable)
    required = len(applicable) + len(suite.missing)
    evidence = len([case for case in applicable if _measured(case)]) / required if required else 0.0
    record = (1 + succeeded) / (2 + succeeded + failed)
    change = change or _change(suite.cases)
    points = _points(change, gaps, evidence, succeeded + failed)
    return Readiness(
        total=total,
        categories=categories,
        gaps=gaps,
        confidence=evidence * record,
        risk=_risk(sum(points.values())),
        points=points,
        inputs={
            "evidence": round(evidence, 4),
            "succeeded": succeeded,
            "failed": failed,
            "track_record": round(record, 4),
            "migrations": str(change),
            "critical_gaps": len([gap for gap in gaps if gap.severity is Severity.CRITICAL]),
            "high_gaps": _high(gaps),
        },
    )


def _categories(cases: list[Case], weights: Mapping[str, float]) -> tuple[CategoryScore, ...]:
    """The eight categories in their order, then any that a case named besides."""
    known = [str(category) for category in Category]
    others = sorted({case.category for case in cases} - set(known))
    scores = []
    for name in [*known, *others]:
        own = [case for case in cases if case.category == name]
        weight = sum(case.severity.weight for case in own)
        points = sum(case.severity.weight * _POINTS.get(case.outcome, 0.0) for case in own)
        scores.append(CategoryScore(name, 100 * points / weight if own else None, len(own), weights.get(name, 1.0)))
    return tuple(scores)


def _gaps(suite: SuiteResult, applicable: list[Case]) -> tuple[Gap, ...]:
    """Most severe first. A planned case that never reported is critical: nobody knows what it would have said."""
    order = list(Severity)
    found = [
        Gap(case.id, case.category, case.severity, case.message or str(case.outcome), unknown=case.inconclusive)
        for case in applicable
        if case.outcome in (CaseOutcome.FAILED, CaseOutcome.ERROR, CaseOutcome.SKIPPED) or case.inconclusive
    ]
    found += [Gap(case_id, "unknown", Severity.CRITICAL, _NEVER_REPORTED) for case_id in suite.missing]
    return tuple(sorted(found, key=lambda gap: order.index(gap.severity)))


def _measured(case: Case) -> bool:
    return case.outcome not in (CaseOutcome.ERROR, CaseOutcome.SKIPPED) and not case.inconclusive


def _change(cases: tuple[Case, ...]) -> Change:
    """What the migration checks found: a failed critical one may break the earlier release."""
    own = [case for case in cases if case.category == Category.MIGRATIONS and case.severity is Severity.CRITICAL]
    applicable = [case for case in own if case.outcome is not CaseOutcome.NOT_APPLICABLE]
    if not applicable:
        return Change.NONE if own else Change.UNKNOWN
    if any(case.outcome is CaseOutcome.FAILED for case in applicable) or not WayBack.told(cases).lives:
        return Change.CONTRACT
    return Change.EXPAND if all(map(_measured, applicable)) else Change.UNKNOWN


def _high(gaps: tuple[Gap, ...]) -> int:
    """High gaps that were seen; one that could not tell already lowers the evidence."""
    return len([gap for gap in gaps if gap.severity is Severity.HIGH and not gap.unknown])


def _points(change: Change, gaps: tuple[Gap, ...], evidence: float, deployments: int) -> dict[str, int]:
    """What each thing adds to the risk, in words that a person reads."""
    return {
        f"migrations: {change}": {Change.NONE: 0, Change.EXPAND: 1, Change.UNKNOWN: 2, Change.CONTRACT: 4}[change],
        "critical gaps": 4 if any(gap.severity is Severity.CRITICAL for gap in gaps) else 0,
        "high gaps": min(2, _high(gaps)),
        "evidence below 0.8" if evidence < 0.8 else "evidence below 1": 2
        if evidence < 0.8
        else 1
        if evidence < 1
        else 0,
        "fewer than 5 deployments": 1 if deployments < 5 else 0,
    }


def _risk(points: int) -> Risk:
    return Risk.LOW if points <= 1 else Risk.MEDIUM if points <= 3 else Risk.HIGH
