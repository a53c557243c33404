"""Which deployment the ticks of a checklist are about: they count for one, of one release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gate.approval import checklists
from gate.approval.book import Book
from gate.approval.checklists import ItemState, Span
from gate.config import Environment
from gate.config.approval import Checklist
from gate.records.journal import TOUCHING
from gate.records.store import UNTOUCHED, Deployment, Store
from gate.results import Outcome

LISTED = "listed"
"""Kind of the journal's line that says what the checklist said when a deployment began."""
_CHANGING = ("deploy", "rollback", "restore")
_JOURNALED = ("deploy", "restore")
"""What never acts without its intent in the journal; a rollback goes on where the journal cannot be written."""
_UNDONE = (Outcome.INTERRUPTED, Outcome.ROLLED_BACK)
"""How a run ends whose undo may have found nothing to undo."""


def for_next(environment: Environment, store: Store, digest: str, now: datetime) -> list[ItemState]:
    """The checklist as it stands for the next deployment of a release. Raises OperationFailed."""
    span = to_come(_touching(store), digest, now, _lasts(environment))
    ticks = Book(store).ticks(digest)
    return checklists.states(environment.checklist, ticks, digest, span, environment.approval.people)


def for_run(environment: Environment, store: Store, run: Deployment) -> list[ItemState]:
    """The checklist of today, as it is ticked for a run and for what is seen to after it. Raises OperationFailed."""
    span = of_run(_touching(store), run, _lasts(environment))
    return checklists.states(environment.checklist, Book(store).ticks(run.digest), run.digest, span)


def listed(environment: Environment) -> dict[str, Any]:
    """What the checklist says, and for how long a tick counts: the facts of the journal's line about it."""
    items = [[phase, item, text] for item, (phase, text) in environment.checklist.items.items()]
    return {"items": items, "valid_days": environment.approval.valid_days}


def as_it_was(store: Store, run: Deployment) -> list[ItemState] | None:
    """What the checklist said when a run began, and what of it was ticked for that run; None where it is not on record.

    Raises OperationFailed.
    """
    written = next((event.facts for event in store.events(run.id) if event.kind == LISTED), None)
    if written is None:
        return None
    phases: dict[str, dict[str, str]] = {}
    for phase, item, text in written["items"]:
        phases.setdefault(phase, {})[item] = text
    span = of_run(_touching(store), run, timedelta(days=written["valid_days"]))
    return checklists.states(Checklist(**phases), Book(store).ticks(run.digest), run.digest, span)


def to_come(runs: Sequence[Deployment], digest: str, now: datetime, lasts: timedelta) -> Span:
    """The next deployment of a release, by all runs on record that touched anything, newest first. What is ticked
    during and after one is about its last."""
    last = _last(runs, digest)
    return Span(now, lasts, cleared=_cleared(runs), began=_moment(last.started_at) if last is not None else None)


def of_run(runs: Sequence[Deployment], run: Deployment, lasts: timedelta) -> Span:
    """One deployment that is on record, by all runs that touched anything, newest first."""
    later = [item for item in runs if item.id > run.id and item.digest == run.digest and _deployed(item)]
    began = _moment(run.started_at)
    return Span(
        began,
        lasts,
        cleared=_cleared([item for item in runs if item.id < run.id]),
        began=began,
        ended=_moment(run.ended_at) if run.ended_at else None,
        again=_moment(later[-1].started_at) if later else None,
    )


def last_of(store: Store, digest: str) -> Deployment | None:
    """The last deployment of a release, as far as it is on record. Raises OperationFailed."""
    return _last(_touching(store), digest)


def _last(runs: Sequence[Deployment], digest: str) -> Deployment | None:
    return next((item for item in runs if item.digest == digest and _deployed(item)), None)


def _lasts(environment: Environment) -> timedelta:
    return timedelta(days=environment.approval.valid_days)


def _cleared(runs: Sequence[Deployment]) -> datetime | None:
    """When the last of the runs ended: after it nothing is as people saw it."""
    return max((_moment(item.ended_at) for item in runs if item.ended_at), default=None)


def _deployed(run: Deployment) -> bool:
    return run.action == "deploy"


def _touching(store: Store) -> list[Deployment]:
    """Runs that touched anything, newest first. Raises OperationFailed."""
    return [item for item in store.deployments() if _touched(store, item)]


def _touched(store: Store, run: Deployment) -> bool:
    """Whether a run touched what people had seen. One that was stopped, or died, during its checks did not, and its
    journal, written ahead of every act, says so."""
    if run.action not in _CHANGING or run.outcome in UNTOUCHED:
        return False
    if run.outcome not in _UNDONE or run.action not in _JOURNALED:
        return True
    return any(event.kind == "do" and event.step in TOUCHING for event in store.events(run.id))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
