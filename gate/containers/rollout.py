"""One service of a swarm on its way from one image to another: ordered, waited for, and seen to its end.

Swarm rolls it out; what it says of that is believed only as far as its tasks bear it out. An update of which a task was
given to a node that has died waits for that task for ever: it is ordered once more, by force. And Swarm counts a task
that fails only while it is young (``monitor``): one that fails later ends the update all the same, before the last task
that serves has been replaced.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from gate.config import SwarmSettings
from gate.containers.client import Silent
from gate.containers.swarm import (
    ENDED,
    FAILED,
    LEADERLESS,
    UNCHECKED,
    Table,
    digest_of,
    gone,
    image_of,
    under_way,
    update_of,
)
from gate.errors import EngineError
from gate.machine import shell

_SECOND = 1_000_000_000  # nanoseconds
_NOT_YET = {"new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting"}
_ENDED_BY_ITSELF = {"failed", "rejected", "complete"}


class Asked(Protocol):
    """Whoever knows the swarm, and can change it: ``gate.containers.swarm.Manager``. Each raises EngineError."""

    def service(self, name: str, *, patient: bool = True) -> Table: ...
    def tasks(self, name: str, *, patient: bool = True) -> list[Table]: ...
    def nodes(self, *, patient: bool = True) -> dict[str, Table]: ...
    def checks_health(self, service: Table, image: str) -> bool: ...
    def order(self, service: Table, spec: Table, how: Mapping[str, str]) -> None: ...


class Rollout:
    """A service that is to run ``image``, which ends in a digest; ``back``: it served before, so Swarm may know it."""

    def __init__(self, manager: Asked, settings: SwarmSettings, name: str, image: str, *, back: bool) -> None:
        self._manager, self._settings, self._name = manager, settings, name
        self._image, self._digest, self._back = image, digest_of(image), back
        self._seen: Table = {}
        self._silent = ""
        self._left: list[Table] = []
        self._forced: set[str] = set()
        self._failed: set[str] = set()
        self._unsteady: set[str] = set()

    def run(self) -> None:
        """Moves it, all of it, within the time that the environment gives. Raises EngineError."""
        limit = self._settings.timeout
        deadline = time.monotonic() + limit
        first = self._seen = self._manager.service(self._name)
        if not self._is_ordered(first) or under_way(first):
            self._see_through(first, deadline)
        if not shell.wait_until(self._others_ended, timeout=max(0.0, deadline - time.monotonic()), every=0.2):
            left = f"tasks of another image that do not end: {len(self._left)}"
            raise EngineError(f"{self._name}: {self._silent or left}")

    def _see_through(self, first: Table, deadline: float) -> None:
        """Orders it where that was not done, and waits for Swarm's word that it has ended well. Raises EngineError."""
        before = {str(one["ID"]) for one in self._manager.tasks(self._name) if self._ended_by_itself(one)}
        if not self._is_ordered(first):
            self._order()
        done = shell.wait_until(
            lambda: self._ended(first, before), timeout=max(0.0, deadline - time.monotonic()), every=0.5
        )
        update = update_of(self._seen)
        if not done:
            why = self._silent or update.get("Message") or "it goes on"
            raise EngineError(f"{self._name}: not updated within {self._settings.timeout:g} s: {why}")
        if not self._is_ordered(self._seen):
            state, message = update.get("State") or "ordered otherwise", update.get("Message", "")
            raise EngineError(f"{self._name}: {state}: {message}{why_failed(self._manager, self._name, self._digest)}")

    def _is_ordered(self, service: Table) -> bool:
        """Whether it is to run the image, and Swarm has not given that up: then some tasks run it, some do not."""
        return digest_of(image_of(service)) == self._digest and update_of(service).get("State") not in FAILED

    def _order(self) -> None:
        """Tells Swarm, again and again while nobody leads."""
        faults: list[Silent] = []

        def told() -> bool:
            try:
                service = self._manager.service(self._name, patient=False)
                if not self._is_ordered(service):
                    self._tell(service)
            except Silent as fault:
                faults.append(fault)
                return False
            return True

        if not shell.wait_until(told, timeout=min(LEADERLESS, self._settings.timeout), every=1.0):
            raise faults[-1]

    def _tell(self, service: Table) -> None:
        spec, previous = service["Spec"], service.get("PreviousSpec") or {}
        # What served before is hurried back, unless Swarm would end the others before it listens.
        way_back = self._how(0 if self._manager.checks_health(service, self._image) else self._settings.monitor)
        # Swarm's own goes the way that the specification it goes back to says: the team's may be stop-first.
        if self._back and _says(previous, way_back) and digest_of(image_of({"Spec": previous})) == self._digest:
            self._manager.order(service, spec, {"rollback": "previous"})
            return
        spec["TaskTemplate"]["ContainerSpec"]["Image"] = self._image
        spec["UpdateConfig"] = way_back if self._back else self._how(self._settings.monitor)
        spec["RollbackConfig"] = way_back
        self._manager.order(service, spec, {})

    def _how(self, delay: float) -> Table:
        """Swarm stops at the first task that fails; what then is to happen the gate decides.

        ``delay``: seconds from a task that runs to the next one; ``Monitor`` keeps nothing waiting but the end.
        """
        return {
            "Parallelism": self._settings.parallelism,
            "Order": self._settings.order,
            "FailureAction": "pause",
            "Monitor": int(self._settings.monitor * _SECOND),
            "MaxFailureRatio": 0,
            "Delay": int(delay * _SECOND),
        }

    def _ended(self, first: Table, failed_before: set[str]) -> bool:
        """Whether Swarm says that it has ended, well or not, since it was ``first`` looked at.

        Raises EngineError where a task has failed that had not before, and Swarm goes on.
        """
        try:
            self._seen = self._manager.service(self._name, patient=False)
            self._silent = ""
            update = update_of(self._seen)
            if update.get("State") in ENDED:
                return under_way(first) or update.get("StartedAt") != update_of(first).get("StartedAt")
            if under_way(self._seen):
                self._look_at_tasks(failed_before)
                return False
            return not self._forced and not self._unmoved()  # none had to be moved, or none is yet
        except Silent as fault:  # a leader is being elected: the update goes on without us
            self._silent = str(fault)
            return False

    def _look_at_tasks(self, failed_before: set[str]) -> None:
        """Sees to what Swarm does not. Raises EngineError for a task that failed, and not because its node was away."""
        tasks, nodes = self._manager.tasks(self._name, patient=False), self._manager.nodes(patient=False)
        self._unsteady |= {name for name, node in nodes.items() if node["Status"]["State"] != "ready"}
        self._force(tasks, nodes)
        steady = [one for one in tasks if one.get("NodeID", "") not in self._unsteady]
        failed = {str(one["ID"]) for one in steady if self._ended_by_itself(one)} - failed_before
        if failed & self._failed and not self._back and not self._forced:  # Swarm had time to say so itself
            why = why_failed(self._manager, self._name, self._digest)
            seen = self._manager.checks_health(self._seen, self._image)
            raise EngineError(f"{self._name}: a task has failed{why}{'' if seen else f'; {UNCHECKED}'}")
        self._failed = failed

    def _ended_by_itself(self, task: Table) -> bool:
        return digest_of(image_of(task)) == self._digest and task["Status"]["State"] in _ENDED_BY_ITSELF

    def _force(self, tasks: list[Table], nodes: Mapping[str, Table]) -> None:
        """Orders once more where Swarm waits for a task that nobody starts any more: its node died before it did."""
        dead = {
            str(one["ID"])
            for one in tasks
            if digest_of(image_of(one)) == self._digest and one["Status"]["State"] in _NOT_YET and gone(nodes, one)
        }
        if dead <= self._forced:
            return
        template = self._seen["Spec"]["TaskTemplate"]
        template["ForceUpdate"] = template.get("ForceUpdate", 0) + 1
        self._manager.order(self._seen, self._seen["Spec"], {})
        self._forced |= dead

    def _unmoved(self) -> list[Table]:
        """Tasks of another image that Swarm has not told to end."""
        tasks = self._manager.tasks(self._name, patient=False)
        return [one for one in tasks if one["DesiredState"] == "running" and digest_of(image_of(one)) != self._digest]

    def _others_ended(self) -> bool:
        """Whether no task of another image answers any more: Swarm calls an update completed before they have ended."""
        try:
            nodes = self._manager.nodes(patient=False)
            running = [one for one in self._manager.tasks(self._name, patient=False) if _runs(one)]
        except Silent as fault:
            self._silent = str(fault)
            return False
        self._silent = ""
        self._left = [one for one in running if digest_of(image_of(one)) != self._digest and not gone(nodes, one)]
        return not self._left


def why_failed(manager: Asked, name: str, digest: str) -> str:
    """What Swarm says of the tasks of an image that failed last; nothing where it cannot be asked."""
    try:
        tasks = manager.tasks(name, patient=False)
    except EngineError:
        return ""
    failed = [
        one["Status"].get("Err") or one["Status"].get("Message", "")
        for one in tasks
        if one["Status"]["State"] in {"failed", "rejected"} and digest_of(image_of(one)) == digest
    ]
    return f" ({failed[0]})" if failed and failed[0] else ""


def _says(spec: Table, way_back: Table) -> bool:
    """Whether a specification says that it is gone back to that way."""
    config = spec.get("RollbackConfig") or {}
    return bool(config) and all(config.get(key, 0) == value for key, value in way_back.items())


def _runs(task: Table) -> bool:
    return bool(task["Status"]["State"] == "running")
