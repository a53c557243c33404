"""Where a release stands beside the one before: its gaps over time, and its readiness then and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gate.deployment.run import Run
from gate.judging import gaps
from gate.judging.gaps import Gap, Tally
from gate.records.ledger import Ledger, Scores
from gate.results import Severity

_SUITES = {"checks": "checks", "candidate": "smoke", "front": "smoke"}
"""Phases that judge the release that is wanted, and the section that says where their cases stand."""


@dataclass(frozen=True)
class Standing:
    """``release`` is the version that was accepted last, ``before`` how ready that was. Of the gaps, ``new`` are those
    that it did not have, ``still`` those that it had, ``resolved`` those that were closed since; ``unseen`` of the open
    ones did not run this time."""

    release: str | None
    before: Scores | None
    new: tuple[Gap, ...]
    still: tuple[Gap, ...]
    resolved: tuple[Gap, ...]
    unseen: frozenset[str]
    tally: Mapping[Severity, Tally]

    def document(self) -> dict[str, object]:
        """The same for ``--json``."""
        return {
            "release": self.release,
            "before": self.before.total if self.before else None,
            "new": [gap.seen.case for gap in self.new],
            "open": [gap.seen.case for gap in self.still],
            "resolved": [gap.seen.case for gap in self.resolved],
            "tally": {str(name): {"resolved": many.resolved, "total": many.total} for name, many in self.tally.items()},
        }


def track(run: Run) -> Standing | None:
    """Remembers what a run found out about gaps and readiness; None where it is no judgement of a release.

    Raises OperationFailed.
    """
    if run.action not in ("deploy", "plan"):
        return None
    suites = [
        gaps.Ran(item.result, _folders(run, item.phase), strict=item.phase == "checks")
        for item in run.evidence.suites
        if item.phase in _SUITES
    ]
    ledger, scored = Ledger(run.store), run.evidence.readiness
    ledger.track(run.deployment, gaps.changes(ledger.gaps(), suites))
    if scored is not None:
        measured = {item.name: item.score for item in scored.categories if item.score is not None}
        ledger.assess(run.deployment, Scores(scored.total, measured))
    return _standing(run, ledger)


def _standing(run: Run, ledger: Ledger) -> Standing:
    last = next((item for item in run.store.accepted() if item.action == "deploy" and item.id < run.deployment), None)
    since = last.id if last is not None else 0
    known = ledger.gaps()
    open_now = [gap for gap in known if gap.open]
    return Standing(
        release=last.version if last is not None else None,
        before=ledger.scores().get(since),
        new=tuple(gap for gap in open_now if gap.opened_in > since),
        still=tuple(gap for gap in open_now if gap.opened_in <= since),
        resolved=tuple(gap for gap in known if gap.closed_as == gaps.RESOLVED and (gap.closed_in or 0) > since),
        unseen=frozenset(gap.seen.case for gap in open_now if gap.seen_in != run.deployment),
        tally=gaps.tally(known),
    )


def _folders(run: Run, phase: str) -> tuple[str, ...]:
    section = run.environment.checks if _SUITES[phase] == "checks" else run.environment.smoke
    return tuple(section.folders)


def lines(standing: Standing, scored: Mapping[str, float], total: float | None) -> list[str]:
    """What ``plan`` tells a person: the change of each category's score, and of the gaps."""
    told = []
    if standing.before is not None and total is not None:
        moved = [
            f"{name} {before:.0f} → {scored[name]:.0f}"
            for name, before in standing.before.categories.items()
            if name in scored and round(before) != round(scored[name])
        ]
        then = f"since {standing.release}: {standing.before.total:.0f} → {total:.0f}"
        changed = f" ({', '.join(moved)})" if moved else ", no category changed"
        told.append(f"readiness {then}{changed}")
    told.append(f"gaps      {gaps.told(standing.tally)}")
    for name, found in (("new", standing.new), ("open", standing.still), ("resolved", standing.resolved)):
        for gap in found:
            first = "" if name == "new" else f", since deployment {gap.opened_in}"
            unseen = ", not run this time" if gap.open and gap.seen.case in standing.unseen else ""
            text = gap.seen.title or gap.seen.case
            told.append(f"  {name:<8}  {gap.seen.severity:<8}  {gap.seen.category}: {text}{first}{unseen}")
    return told
