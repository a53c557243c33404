"""What a watch asks once a second or less often: health, resources, who answers, the data, the disk."""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator

from gate.config import Environment
from gate.engines.base import Engine, Instance, name_of
from gate.errors import GateError
from gate.live.observations import (
    Blind,
    HostUsed,
    Identified,
    InvariantSeen,
    Observation,
    Role,
    ServiceSeen,
    Used,
    Wanted,
)

DATA = 5.0
"""Least seconds between two looks at the data; ten times as long as a look takes, where that is more."""


class Looks:
    """Everything that is asked once a second or less often."""

    def __init__(
        self,
        environment: Environment,
        engine: Engine,
        candidate: Instance,
        stable: Instance | None,
        now: Callable[[], float],
    ) -> None:
        self._environment = environment
        self._engine = engine
        self._candidate = candidate
        self._stable = stable
        self._now = now
        self._data_due = 0.0
        self.probed: deque[float] = deque()
        """When the front door was asked, for whoever looks whether the proxy's log shows it."""

    def ask_everything_next(self) -> None:
        """The next look asks the data as well: a step begins, and what was seen before it does not count for it."""
        self._data_due = 0.0

    @property
    def wanted(self) -> Wanted:
        """What must be measured before GO."""
        limits = tuple(
            name_of(name, place)
            for name, service in self._environment.services.items()
            if service.limits
            for place in self._environment.places or ("",)
        )
        database = self._environment.database
        signals = (
            "error_rate",
            "response_time",
            "services_lost",
            "wrong_identity",
            "log_error_rate",
            "disk",
            *(("cpu", "memory") if limits else ()),
            *(("invariants_broken",) if database is not None and database.invariants else ()),
        )
        return Wanted(0.0, signals, limits)

    def often(self) -> Iterator[Observation]:
        """One look at what is asked every second: health, resources, who answers."""
        both = [(self._candidate, Role.CANDIDATE)] + ([(self._stable, Role.STABLE)] if self._stable else [])
        for instance, role in both:
            yield from self.health(instance, role)
            yield from self._resources(instance, role)
        yield self._identity()

    def seldom(self) -> Iterator[Observation]:
        """One look at the data and the disk, if it is due; a large table may take long."""
        if self._now() >= self._data_due:
            began = self._now()
            self._data_due = math.inf  # one that becomes due while this one runs is made up for
            yield self._disk()
            yield from self._data()
            self._data_due = min(self._data_due, self._now() + max(DATA, 10 * (self._now() - began)))

    def health(self, instance: Instance, role: Role) -> list[Observation]:
        """Every service of an instance, asked now."""
        try:
            states = self._engine.health(instance)
        except GateError as fault:
            return [Blind(self._now(), "services_lost", str(fault), role)]
        at = self._now()
        return [
            ServiceSeen(at, role, one.name, one.alive, one.healthy, one.detail if one.alive else one.ended)
            for one in states
        ]

    def stable_now(self, within: float) -> list[Observation]:
        """Whether stable is well, asked now; one that does not answer within some seconds is not."""
        if self._stable is None:
            return []
        found: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        stable = self._stable

        def ask() -> None:
            for seen in self.health(stable, Role.STABLE):
                found.put(seen)

        thread = threading.Thread(target=ask, name="asking stable", daemon=True)
        thread.start()
        thread.join(within)
        if thread.is_alive():
            name = name_of(next(iter(self._environment.routed())), next(iter(self._environment.places), ""))
            text = f"did not answer within {within:g} s"
            return [ServiceSeen(self._now(), Role.STABLE, name, alive=True, healthy=False, detail=text)]
        return [found.get() for _ in range(found.qsize())]

    def _resources(self, instance: Instance, role: Role) -> list[Observation]:
        try:
            used = self._engine.resources(instance)
        except GateError as fault:
            return [Blind(self._now(), name, str(fault), role) for name in ("cpu", "memory")]
        at = self._now()
        return [
            Used(
                at,
                role,
                one.name,
                one.cpu / one.cpu_limit if one.cpu_limit else None,
                one.memory / one.memory_limit if one.memory_limit else None,
            )
            for one in used
        ]

    def _identity(self) -> Observation:
        """Who answers when the front door is asked for the candidate."""
        import httpx

        expected = self._candidate.version
        services = self._environment.routed()
        service = next(one for one in services.values() if one.route == "/")
        path, _, field = (service.identity or "").partition("#")
        asked_at = self._now()
        try:
            door = self._engine.endpoint(self._candidate)
            # The door is plain HTTP on this machine; not reading the certificates saves 30 ms of CPU a look.
            with httpx.Client(verify=False, timeout=5, trust_env=False) as client:  # noqa: S501 - see above
                answer = client.get(f"{door.url}{path}", headers=dict(door.headers))
            self.probed.append(asked_at)  # only what was answered must stand in the log
            value = answer.json()
            for part in field.split("."):
                value = value[part]
        except GateError as fault:
            return Blind(self._now(), "wrong_identity", str(fault))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as fault:
            return Blind(self._now(), "wrong_identity", f"{path} at the front door: {type(fault).__name__}")
        return Identified(self._now(), expected, str(value))

    def _data(self) -> list[Observation]:
        database = self._environment.database
        if database is None or database.invariants is None:
            return []
        from gate.database import invariants

        try:
            found = invariants.run(database.url, self._environment.root / database.invariants)
        except GateError as fault:
            return [Blind(self._now(), "invariants_broken", str(fault))]
        return [InvariantSeen(self._now(), one.name, one.rows) for one in found]

    def _disk(self) -> Observation:
        try:
            return HostUsed(self._now(), self._engine.host().disk)
        except (GateError, OSError) as fault:
            return Blind(self._now(), "disk", str(fault))


def asked_by_the_gate(environment: Environment) -> set[str]:
    """Paths the gate asks for itself: they say nothing about users."""
    named = [
        path
        for service in environment.services.values()
        for path in (service.health, service.ready, service.identity, service.digest, service.in_flight)
        if path
    ]
    return {path.partition("#")[0] for path in named}
