"""What was kept here, in its order, written down beside the instances: the way back where the records cannot be used.

The records tell the same (``served``), by the same rule: a rollback takes away everything above the release that
it went to, so nothing here ever leads forward.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gate.config import Environment
from gate.deployment.run import Run
from gate.records.store import Store
from gate.results import Outcome
from gate.rollback import served
from gate.routing import place
from gate.routing.place import Damaged, Place

FILE = "kept.json"
_MOST = 20
"""Stays that are remembered; who has to go back further has records, or needs a deployment."""


@dataclass(frozen=True)
class Stay:
    """A release that was kept, and not gone back from since."""

    version: str
    digest: str
    folder: str


class Ways:
    """The stays of one environment."""

    def __init__(self, where: Place) -> None:
        self._place = where

    def stays(self) -> list[Stay]:
        """Newest first; empty where none was ever written down. Raises EngineError where it cannot be read."""
        text = self._place.read(FILE)
        try:
            found = [Stay(**{name: str(value) for name, value in row.items()}) for row in json.loads(text or "[]")]
        except (ValueError, TypeError, AttributeError) as fault:
            raise Damaged(f"{self._place.folder / FILE}: cannot be read ({type(fault).__name__})") from None
        return found[::-1]

    def before(self, digest: str) -> list[Stay]:
        """What was kept before the release with this digest, nearest first; all, where that was not kept itself.

        Raises EngineError.
        """
        stays = self.stays()
        at = next((number for number, item in enumerate(stays) if item.digest == digest), -1)
        return [item for item in stays[at + 1 :] if item.digest != digest]

    def keep(self, stay: Stay, *, back: bool) -> None:
        """Writes down that a release was kept; ``back``: by a rollback to it. Raises EngineError."""
        try:
            oldest_first = self.stays()[::-1]
        except Damaged:
            oldest_first = []  # what it said nobody knows any more
        digests = [item.digest for item in oldest_first]
        if back and stay.digest in digests:
            del oldest_first[len(digests) - 1 - digests[::-1].index(stay.digest) :]
        elif oldest_first and oldest_first[-1].digest == stay.digest:
            oldest_first.pop()
        self._write([*oldest_first, stay])

    def rewrite(self, newest_first: Sequence[Stay]) -> None:
        """Writes down all stays, if they are others than are written down. Raises EngineError."""
        try:
            if self.stays() == list(newest_first[:_MOST]):
                return
        except Damaged:
            pass
        self._write(newest_first[::-1])

    def _write(self, oldest_first: Sequence[Stay]) -> None:
        rows = [asdict(item) for item in oldest_first[-_MOST:]]
        self._place.write(FILE, json.dumps(rows, indent=1))


def settle(environment: Environment, store: Store) -> None:
    """Writes down what the records say: a run may have died before it did. Raises EngineError, OperationFailed."""
    written = Ways(place.of(environment))
    known = {item.digest for item in store.deployments()}
    try:
        younger = any(stay.digest not in known for stay in written.stays())
    except Damaged:
        younger = not known
    if not younger:  # records that were made anew know nothing of what was kept before
        written.rewrite([Stay(item.version, item.digest, item.folder) for item in served.way_back(store)])


def remember(run: Run, outcome: Outcome) -> None:
    """Writes down that the release of a run is kept, if it is; before its end is on record. Raises EngineError."""
    accepted = any(step.name == "accept" and step.done for step in run.journal.to_undo())
    if accepted and outcome in (Outcome.RELEASED, Outcome.ROLLED_BACK):
        stay = Stay(run.release.version, run.release.digest, str(run.release.folder))
        Ways(place.of(run.environment)).keep(stay, back=run.action == "rollback")
