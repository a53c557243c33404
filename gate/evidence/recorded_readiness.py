"""How ready a release was, for its decision record."""

from __future__ import annotations

from collections.abc import Iterable

from gate.deployment.run import Run
from gate.evidence.standing import Standing
from gate.judging import readiness
from gate.judging.gaps import Gap as TrackedGap
from gate.report.record import (
    CategoryScore,
    Gap,
    GapTally,
    ReadinessRecord,
)
from gate.results import Severity


def readiness_of(run: Run) -> ReadinessRecord | None:
    scored = run.evidence.readiness
    if scored is None:
        return None
    stands = run.evidence.standing
    before = stands.before if stands is not None else None
    return ReadinessRecord(
        total=scored.total,
        minimum=run.environment.readiness.minimum,
        categories=tuple(
            CategoryScore(
                item.name, item.score, item.cases, item.weight, before.categories.get(item.name) if before else None
            )
            for item in scored.categories
        ),
        gaps=_gaps(scored.gaps, stands),
        confidence=scored.confidence,
        risk=str(scored.risk),
        inputs=scored.inputs,
        before=before.total if before else None,
        points=scored.points,
        since=stands.release if stands else None,
        resolved=tuple(_closed(gap) for gap in stands.resolved) if stands else (),
        tally=tuple(GapTally(name, many.resolved, many.total) for name, many in stands.tally.items()) if stands else (),
    )


def _gaps(found: Iterable[readiness.Gap], stands: Standing | None) -> tuple[Gap, ...]:
    """The gaps of the checks, the new ones known as that; then whatever else is open, from a smoke test or before."""
    fresh = {gap.seen.case: gap for gap in stands.new} if stands else {}
    known = fresh | ({gap.seen.case: gap for gap in stands.still} if stands else {})
    made = [
        Gap(
            item.case,
            item.severity,
            item.message,
            item.category,
            since=known[item.case].opened_in if item.case in known else None,
            new=item.case in fresh if item.case in known else None,
        )
        for item in found
    ]
    told = {item.case for item in made}
    rest = [gap for name, gap in known.items() if name not in told]
    made += [
        Gap(
            gap.seen.case,
            gap.seen.severity,
            gap.seen.message,
            gap.seen.category,
            since=gap.opened_in,
            new=gap.seen.case in fresh,
            unseen=stands is not None and gap.seen.case in stands.unseen,
        )
        for gap in rest
    ]
    return tuple(sorted(made, key=lambda gap: list(Severity).index(gap.severity)))


def _closed(gap: TrackedGap) -> Gap:
    text = gap.seen.title or gap.seen.message
    return Gap(gap.seen.case, gap.seen.severity, text, gap.seen.category, since=gap.opened_in)
