"""Which deployment the ticks of a checklist are about: they count for one, of one release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from gate.approval import checklists
from gate.approval.book import Book
from gate.approval.checklists import ItemState, Span
from gate.config import Environment
from gate.store import UNTOUCHED, Deployment, Store

_TOUCHING = ("deploy", "rollback", "restore")


def for_next(environment: Environment, store: Store, digest: str, now: datetime) -> list[ItemState]:
    """The checklist as it stands for the next deployment of a release. Raises OperationFailed."""
    span = to_come(store.deployments(), digest, now, _lasts(environment))
    ticks = Book(store).ticks(digest)
    return checklists.states(environment.checklist, ticks, digest, span, environment.approval.people)


def for_run(environment: Environment, store: Store, run: Deployment) -> list[ItemState]:
    """The checklist as it stood for a run, and stands for what is seen to after it. Raises OperationFailed."""
    span = of_run(store.deployments(), run, _lasts(environment))
    return checklists.states(environment.checklist, Book(store).ticks(run.digest), run.digest, span)


def to_come(runs: Sequence[Deployment], digest: str, now: datetime, lasts: timedelta) -> Span:
    """The next deployment of a release, by all runs on record, newest first. What is ticked during and after one is
    about its last."""
    last = _last(runs, digest)
    return Span(now, lasts, cleared=_cleared(runs), began=_moment(last.started_at) if last is not None else None)


def of_run(runs: Sequence[Deployment], run: Deployment, lasts: timedelta) -> Span:
    """One deployment that is on record, by all runs, newest first."""
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
    return _last(store.deployments(), digest)


def _last(runs: Sequence[Deployment], digest: str) -> Deployment | None:
    return next((item for item in runs if item.digest == digest and _deployed(item)), None)


def _lasts(environment: Environment) -> timedelta:
    return timedelta(days=environment.approval.valid_days)


def _cleared(runs: Sequence[Deployment]) -> datetime | None:
    """When a run ended last that touched anything: after it nothing is as people saw it."""
    return max((_moment(item.ended_at) for item in runs if item.ended_at and _touched(item)), default=None)


def _deployed(run: Deployment) -> bool:
    return run.action == "deploy" and _touched(run)


def _touched(run: Deployment) -> bool:
    return run.action in _TOUCHING and run.outcome not in UNTOUCHED


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
