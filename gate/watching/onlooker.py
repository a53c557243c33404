"""What serves, seen live: who has the traffic, how it fares and what it uses. Looks only; nothing here decides."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from gate.approval import outstanding
from gate.config import Environment
from gate.engines.base import Engine, Instance
from gate.errors import GateError, OperationFailed
from gate.judging.limits import Unit, show
from gate.live.histogram import Histogram
from gate.live.observations import Requests, Role
from gate.records.store import Store
from gate.routing.traffic import Traffic, request_log
from gate.signals.access_log import AccessLog
from gate.watching import serving
from gate.watching.looks import asked_by_the_gate

OVER = 30.0
"""Seconds of traffic that the figures are of, fewer at the beginning; and between two looks into the records."""


@dataclass(frozen=True)
class Release:
    """A release that takes traffic: its ``share`` of it (0 to 1), users' ``requests`` in the last ``seconds``, the part
    of them that failed, their p95 in seconds; what it uses, as shares of its limits; None where nothing is known."""

    version: str
    instance: str
    share: float
    seconds: float
    requests: int
    error_rate: float | None
    p95: float | None
    cpu: float | None
    memory: float | None
    healthy: bool
    health: str

    def __str__(self) -> str:
        rate = self.requests / self.seconds if self.seconds else 0.0
        told = [
            f"{self.version} ({self.instance}) {self.share:.0%}",
            f"{rate:.1f} requests/s",
            f"errors {_shown(self.error_rate, Unit.SHARE)}",
            f"p95 {_shown(self.p95, Unit.SECONDS)}",
            f"cpu {_shown(self.cpu, Unit.SHARE)}",
            f"memory {_shown(self.memory, Unit.SHARE)}",
            self.health,
        ]
        return "  ".join(told)


@dataclass(frozen=True)
class Glance:
    """One moment: the releases that take traffic, the one that serves first; ``unanswered``: users' requests in the
    same time that reached no release; ``fault``: what could not be told; ``owed``: emergencies to be signed for."""

    at: datetime
    releases: tuple[Release, ...]
    unanswered: int
    fault: str = ""
    owed: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat(timespec="milliseconds")}

    def __str__(self) -> str:
        told = [str(one) for one in self.releases] or ["nothing serves"]
        told += [f"{self.unanswered} requests reached nobody"] if self.unanswered else []
        told += [self.fault] if self.fault else []
        told += [f"to be signed: {text}" for text in self.owed]
        return f"{self.at:%H:%M:%S}  {'  |  '.join(told)}"


class Onlooker:
    """Looks at an environment again and again, whatever is deployed meanwhile."""

    def __init__(self, environment: Environment, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._environment = environment
        self._engine = engine
        self._clock = clock
        self._began = clock()
        self._roles: dict[str, Role] = {}
        own = asked_by_the_gate(environment)
        self._log = AccessLog(request_log(environment), self._roles, self._began, own, clock=clock)
        self._seen: deque[Requests] = deque()
        self._unanswered: deque[float] = deque()
        self._owed: tuple[str, ...] = ()
        self._asked = -math.inf
        self._store: Store | None = None

    def look(self) -> Glance:
        """How it is now. What cannot be told is told as that, and ends nothing."""
        at = datetime.fromtimestamp(self._clock(), UTC)
        found = serving.look(self._engine)
        fault = found.fault
        canary: tuple[Instance, float] | None = None
        try:
            named = Traffic(self._environment).canary()
            instance = self._engine.find(named[0]) if named is not None else None
            canary = (instance, named[1]) if instance is not None and named is not None else None
        except OperationFailed as unknown:
            fault = fault or str(unknown)
        # Two that take traffic; the log is read with the roles they have by now.
        names = {found.instance.id: Role.STABLE, found.instance.version: Role.STABLE} if found.instance else {}
        names |= {canary[0].id: Role.CANDIDATE, canary[0].version: Role.CANDIDATE} if canary else {}
        self._roles.clear()
        self._roles.update(names)
        blind = self._read()
        rest = 1 - (canary[1] if canary else 0)
        releases = [self._release(found.instance, Role.STABLE, rest)] if found.instance else []
        releases += [self._release(canary[0], Role.CANDIDATE, canary[1])] if canary else []
        return Glance(at, tuple(releases), len(self._unanswered), fault or blind, self._still_owed(at))

    def _still_owed(self, at: datetime) -> tuple[str, ...]:
        if self._clock() >= self._asked + OVER:
            self._asked = self._clock()
            with suppress(OperationFailed):  # which the next line tells, as it tries it again
                self._store = self._store or Store.of(self._environment)
            self._owed = outstanding.told(self._environment, self._store, at)
        return self._owed

    def close(self) -> None:
        """Lets go of the log."""
        self._log.close()

    def _read(self) -> str:
        """Takes in what the log has got since, and forgets what is old; returns why it cannot be read, if so."""
        blind = ""
        for item in self._log.read():
            if not isinstance(item, Requests):
                blind = item.text
            elif not item.synthetic:
                self._seen.append(item)
        self._unanswered.extend(self._log.unanswered)
        since = self._clock() - self._began - OVER
        while self._seen and self._seen[0].at < since:
            self._seen.popleft()
        while self._unanswered and self._unanswered[0] < since:
            self._unanswered.popleft()
        return blind

    def _release(self, instance: Instance, role: Role, share: float) -> Release:
        rows = [item for item in self._seen if item.role is role]
        times = Histogram()
        for row in rows:
            for milliseconds, many in row.milliseconds:
                times.add(milliseconds, many)
        requests, errors = sum(row.count for row in rows), sum(row.errors for row in rows)
        p95 = times.quantile(0.95)
        cpu, memory = self._uses(instance)
        healthy, health = self._health(instance)
        return Release(
            version=instance.version,
            instance=instance.id,
            share=share,
            seconds=min(OVER, max(0.0, self._clock() - self._began)),
            requests=requests,
            error_rate=errors / requests if requests else None,
            p95=p95 / 1000 if p95 is not None else None,
            cpu=cpu,
            memory=memory,
            healthy=healthy,
            health=health,
        )

    def _uses(self, instance: Instance) -> tuple[float | None, float | None]:
        """The largest share of its limit that any service uses, of cpu and of memory."""
        try:
            used = self._engine.resources(instance)
        except GateError:
            return None, None
        cpu = [one.cpu / one.cpu_limit for one in used if one.cpu_limit]
        memory = [one.memory / one.memory_limit for one in used if one.memory_limit]
        return max(cpu, default=None), max(memory, default=None)

    def _health(self, instance: Instance) -> tuple[bool, str]:
        try:
            states = self._engine.health(instance)
        except GateError as fault:
            return False, f"health unknown: {fault}"
        ill = [f"{one.name}: {one.detail or 'not healthy'}" for one in states if not one.healthy]
        return not ill, "; ".join(ill) or "healthy"


def _shown(value: float | None, unit: Unit) -> str:
    return "–" if value is None else show(value, unit)
