"""What a look at the release that serves goes out from, and whether that is still so once it has looked.

Nobody waits for a look: whoever deploys, rolls back or restores meanwhile makes what it has seen void.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gate.errors import OperationFailed
from gate.records.store import Deployment, Store

Serves = Callable[[], str]
"""The name of the instance that traffic points at, empty for none. Raises OperationFailed where it cannot be told."""

EVERY = 0.5
"""Seconds between two questions, while it looks, whether a run has begun."""
_LATELY = 20
"""Runs that are looked through: more do not begin within one look."""


@dataclass(frozen=True)
class Premises:
    """The number of the newest ``run`` on record, the one that is ``open``, and the instance that ``serves`` (None:
    that could not be told)."""

    run: int
    open: Deployment | None
    serves: str | None

    @staticmethod
    def of(store: Store, serves: Serves) -> Premises:
        """As they are now. Raises OperationFailed where the records cannot be read."""
        newest = next((item.id for item in store.deployments(1)), 0)
        return Premises(newest, store.unfinished(), _asked(serves))

    def gone(self, store: Store, serves: Serves) -> str:
        """Why they do not hold any more; empty while they do. Raises OperationFailed where records cannot be read."""
        begun = self._begun(store)
        if begun:
            return begun
        now = _asked(serves)
        if None in (self.serves, now) or now == self.serves:
            return ""
        return f"traffic was moved from {self.serves or 'nothing'} to {now or 'nothing'} meanwhile"

    def watch(self, store: Store, clock: Callable[[], float] = time.monotonic) -> Callable[[], str]:
        """A function that may be asked all the time for the run that has begun; the records are asked now and then."""
        found, due = "", 0.0

        def begun() -> str:
            nonlocal found, due
            if not found and clock() >= due:
                due = clock() + EVERY
                try:
                    found = self._begun(store)
                except OperationFailed:  # asked again at the end
                    found = ""
            return found

        return begun

    def _begun(self, store: Store) -> str:
        """The run that began since; one that only plans changes nothing."""
        since = [item for item in store.deployments(_LATELY) if item.id > self.run and item.action != "plan"]
        if not since:
            return ""
        first = since[-1]
        what = {"deploy": f"deploying {first.version}", "rollback": f"rolling back to {first.version}"}
        return f"{what.get(first.action, 'a restore')} (deployment {first.id}, by {first.by}) began meanwhile"


def _asked(serves: Serves) -> str | None:
    try:
        return serves()
    except OperationFailed:
        return None
