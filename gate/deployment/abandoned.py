"""A run that nobody works at any more and that has no end: it died, or its undo failed. What is held waits for a
person, and is none."""

from __future__ import annotations

from collections.abc import Callable

from gate.config import Environment
from gate.deployment import holding
from gate.records.lock import Lock
from gate.records.store import Deployment, Store
from gate.results import Outcome
from gate.rollback import mending

ALERTED = "alerted"
"""Kind of the journal's line about people having been told that the run is dead."""
_STEP = "monitoring"


def find(environment: Environment, store: Store) -> Deployment | None:
    """The run that was left, None without one. Takes no lock. Raises OperationFailed where that cannot be told."""
    before = _open(store)
    if before is None or Lock(environment).holder() is not None:
        return None
    return before if _open(store) == before else None  # it may have ended between the two questions


def untouched(store: Store, left: Deployment) -> bool:
    """Whether it died before it touched anything. Raises OperationFailed."""
    return left.outcome is None and not any(event.kind == "do" for event in store.events(left.id))


def end_untouched(environment: Environment, store: Store, say: Callable[[str], None]) -> bool:
    """Ends on record a run that died before it touched anything; whether there was one. Call it under the lock.

    Raises OperationFailed.
    """
    left = store.unfinished()
    if left is None or not untouched(store, left):
        return False
    mending.clear(environment, say)
    store.end(left.id, Outcome.INTERRUPTED, ["the run died during the checks"], cases=0, checks=0, report=None)
    return True


def told(left: Deployment) -> str:
    """One sentence about it."""
    ended = "could not be undone" if left.outcome is Outcome.ROLLBACK_FAILED else "died unfinished"
    return f"deployment {left.id} ({left.version}, by {left.by}, {left.started_at}) {ended}"


def people_know(store: Store, left: Deployment) -> bool:
    """Whether people were told of it: by its own end, or by ``alerted``. Raises OperationFailed."""
    if left.outcome is Outcome.ROLLBACK_FAILED:
        return True
    return any(event.kind == ALERTED for event in store.events(left.id))


def alerted(store: Store, left: Deployment) -> None:
    """Remembers that people were told. Raises OperationFailed."""
    store.write(left.id, _STEP, ALERTED, {})


def _open(store: Store) -> Deployment | None:
    found = store.unfinished()
    return None if found is None or holding.find(store) is not None else found
