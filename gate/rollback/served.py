"""What served here, in its order, without what was rolled back from: the ways back."""

from __future__ import annotations

from gate.records.journal import DIED, judged, to_undo
from gate.records.store import Deployment, Store
from gate.results import Outcome


def way_back(store: Store) -> list[Deployment]:
    """One deployment for each stay of a release that was not rolled back from, newest first; the newest one serves.

    A rollback takes away everything above the release it went to: nothing leads forward to that by itself any more.
    Raises OperationFailed.
    """
    stays: list[Deployment] = []
    for item in reversed(store.deployments()):
        if not took_over(store, item):
            continue
        if item.action == "rollback":
            place = _place(stays, item.digest)
            if place is not None:
                del stays[place + 1 :]
                continue
        if not stays or stays[-1].digest != item.digest:
            stays.append(item)
    return stays[::-1]


def before(store: Store, digest: str) -> list[Deployment]:
    """What ``rollback`` may go back to from the release with this digest, best first; empty without any.

    Raises OperationFailed.
    """
    stays = way_back(store)
    place = next((number for number, item in enumerate(stays) if item.digest == digest), -1)
    return [item for item in stays[place + 1 :] if item.digest != digest]


def last(store: Store) -> Deployment | None:
    """The run whose release serves since, None without any. Raises OperationFailed."""
    return next((item for item in store.deployments() if took_over(store, item)), None)


def failed(store: Store, digest: str) -> Deployment | None:
    """The run in which a release with this digest was rolled back here, by the gate or by a person who went back from
    it, if it has not been kept since; None without one.

    One that a person interrupted, or whose gate died before it had decided to take it back, says nothing about the
    release. Raises OperationFailed.
    """
    runs = store.deployments()
    served_as = {f"r{item.id}": item.digest for item in runs}
    for item in runs:
        if took_over(store, item):
            if item.digest == digest:
                return None
            if item.action == "rollback" and served_as.get(item.stable_instance or "") == digest:
                return item
        elif item.action == "deploy" and item.digest == digest:
            events = store.events(item.id)
            died = any(event.kind == DIED for event in events)
            bad = judged(events).get("outcome") == Outcome.ROLLED_BACK if died else True
            if item.outcome in (Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED) and bad:
                return item
    return None


def _place(stays: list[Deployment], digest: str) -> int | None:
    return next((number for number in reversed(range(len(stays))) if stays[number].digest == digest), None)


def took_over(store: Store, item: Deployment) -> bool:
    """Whether the release of a run served when it had ended."""
    if item.action == "rollback" and item.outcome is Outcome.ROLLED_BACK:
        # One that died and was undone by ``recover`` ended so too.
        return any(step.name == "accept" and step.done for step in to_undo(store.events(item.id)))
    return item.outcome is Outcome.RELEASED
