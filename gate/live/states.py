"""Signals that are states, not requests: services, resources, log lines, the data, who answers, and what nobody saw."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from gate.judging.limits import Rule
from gate.live.observations import (
    Blind,
    Heard,
    HostUsed,
    Identified,
    InvariantSeen,
    Observation,
    Role,
    ServiceSeen,
    Used,
)
from gate.live.reasons import reason, unmeasured
from gate.results import Decision, Reason

UNHEALTHY_IN_A_ROW = 3
"""A service that lives and does not answer counts as lost after this many looks."""
BLIND_IN_A_ROW = 4
"""A signal that cannot be read this often in a row is HOLD."""

_SHOWS = {
    ServiceSeen: "services_lost",
    HostUsed: "disk",
    InvariantSeen: "invariants_broken",
    Identified: "wrong_identity",
}


class States:
    """Takes in one observation after another, and says what speaks against the candidate."""

    def __init__(self, rules: Callable[[str], Rule]) -> None:
        self._rule = rules
        self._ailing: dict[tuple[Role, str], int] = defaultdict(int)
        self._lost: dict[tuple[Role, str], str] = {}
        self._used: dict[tuple[Role, str, str], deque[float]] = {}
        self._disk: float | None = None
        self._broken: dict[str, int] = {}
        self._stranger: Identified | None = None
        self._blind: dict[tuple[str, Role], list[Blind]] = defaultdict(list)
        self._measured_at: dict[str, float] = {}

    def take(self, seen: Observation) -> None:
        """One observation that is not about requests."""
        shown = _SHOWS.get(type(seen))
        if shown is not None:
            self.saw(shown, seen.at, getattr(seen, "role", Role.CANDIDATE))
        match seen:
            case ServiceSeen():
                self._service(seen)
            case Used():
                self._use(seen, "cpu", seen.cpu)
                self._use(seen, "memory", seen.memory)
            case HostUsed():
                self._disk = seen.disk
            case InvariantSeen():
                if seen.rows:
                    self._broken[seen.name] = seen.rows
            case Identified():
                if seen.found != seen.expected:
                    self._stranger = seen
            case Heard():
                self._blind.pop(("error_rate", Role.CANDIDATE), None)
            case Blind():
                self._blind[seen.what, seen.role].append(seen)
            case _:
                pass

    def measured_since(self, signal: str, at: float, services: Sequence[str] = ()) -> bool:
        """Whether a signal was measured on the candidate at or after ``at``; cpu and memory on all its ``services``."""
        names = [signal, *(_of(signal, service) for service in services if signal in ("cpu", "memory"))]
        return all(self._measured_at.get(name, -1.0) >= at for name in names)

    def saw(self, signal: str, at: float, role: Role = Role.CANDIDATE) -> None:
        """A signal was measured: it is not blind any more."""
        if role is Role.CANDIDATE:
            self._measured_at[signal] = at
        self._blind.pop((signal, role), None)

    def forget_unread(self) -> None:
        """A person knows of what could not be read, and goes on: it counts anew from here."""
        self._blind.clear()

    def unread(self, signal: str) -> bool:
        """Whether the last try to read a signal of the candidate was in vain."""
        return bool(self._blind.get((signal, Role.CANDIDATE)))

    @property
    def stable_ails(self) -> bool:
        """Whether a service of stable did not answer well when it was asked last: then a fault may be everybody's."""
        return any(role is Role.STABLE and count for (role, _), count in self._ailing.items())

    def against(self) -> list[Reason]:
        """What speaks against the candidate now: ROLLBACK, or HOLD where stable is as bad or nobody could look."""
        return [
            *self._services(),
            *self._identity(),
            *self._data(),
            *(item for item in self._resources() if item.decision is Decision.ROLLBACK or self._excused(item)),
            *self._unseen(),
        ]

    def at_the_end(self) -> list[Reason]:
        """How resources stand once a step's time is over: GO, or HOLD between two limits."""
        return self._resources()

    def shadowed(self, signal: str) -> Reason | None:
        """What a rule on dry run would have decided; None where it has seen nothing."""
        found = [*self._services(), *self._identity(), *self._data()]
        return next((item for item in found if item.signal == signal and self._rule(signal).dry_run), None)

    def _service(self, seen: ServiceSeen) -> None:
        key = (seen.role, seen.service)
        self._ailing[key] = 0 if seen.healthy else self._ailing[key] + 1
        if not seen.alive or self._ailing[key] >= UNHEALTHY_IN_A_ROW:
            self._lost[key] = seen.detail or "is not healthy"
        elif seen.healthy:
            self._lost.pop(key, None)

    def _use(self, seen: Used, signal: str, value: float | None) -> None:
        if value is None:
            return
        self.saw(signal, seen.at, seen.role)
        if seen.role is Role.CANDIDATE:
            self._measured_at[_of(signal, seen.service)] = seen.at
        window = self._rule(signal).min_n
        self._used.setdefault((seen.role, seen.service, signal), deque(maxlen=window)).append(value)

    def _services(self) -> list[Reason]:
        rule = self._rule("services_lost")
        lost = {service: detail for (role, service), detail in self._lost.items() if role is Role.CANDIDATE}
        stable = {service: detail for (role, service), detail in self._lost.items() if role is Role.STABLE}
        told = [f"{service} {detail}" for service, detail in lost.items()]
        if lost and not any(service in stable for service in lost):
            decision = rule.decide(len(lost), max(rule.min_n, len(lost)))
            return [reason(rule, decision, len(lost), len(lost), "; ".join(told))]
        if stable:
            text = f"stable: {'; '.join(f'{service} {detail}' for service, detail in stable.items())}"
            if lost:
                text = f"{'; '.join(told)}; stable is bad at the same time, so the release is not to blame; {text}"
            return [reason(rule, Decision.HOLD, len(stable) + len(lost), len(stable) + len(lost), text)]
        return []

    def _identity(self) -> list[Reason]:
        if self._stranger is None:
            return []
        text = f"{self._stranger.found} answered, expected {self._stranger.expected}"
        rule = self._rule("wrong_identity")
        return [reason(rule, rule.decide(1, max(1, rule.min_n)), 1, 1, text)]

    def _data(self) -> list[Reason]:
        rule = self._rule("invariants_broken")
        if not self._broken:
            return []
        text = ", ".join(f"{name} is broken by {rows} rows" for name, rows in self._broken.items())
        count = len(self._broken)
        return [reason(rule, rule.decide(count, max(count, rule.min_n)), count, count, text)]

    def _resources(self) -> list[Reason]:
        found = []
        for (role, service, signal), values in self._used.items():
            if role is not Role.CANDIDATE:
                continue
            rule = self._rule(signal)
            if len(values) < rule.min_n:
                text = f"too few samples: {len(values)} of {service}, {rule.min_n} in a row are needed"
                found.append(unmeasured(rule, text, len(values)))
                continue
            value = min(values)
            decision = rule.decide(value, len(values))
            text = f"{service}, the lowest of {len(values)} samples in a row"
            if decision is Decision.ROLLBACK and self._stable_is_as_bad(service, signal, rule):
                decision = Decision.HOLD
                text += f"; {_EXCUSED}"
            found.append(reason(rule, decision, value, len(values), text))
        if self._disk is not None:
            rule = self._rule("disk")
            found.append(
                reason(rule, rule.decide(self._disk, max(1, rule.min_n)), self._disk, 1, "of the machine's disk")
            )
        return found

    def _stable_is_as_bad(self, service: str, signal: str, rule: Rule) -> bool:
        values = self._used.get((Role.STABLE, service, signal))
        return bool(values) and rule.decide(min(values or [0.0]), len(values or [])) is Decision.ROLLBACK

    @staticmethod
    def _excused(item: Reason) -> bool:
        return item.decision is Decision.HOLD and _EXCUSED in item.text

    def _unseen(self) -> list[Reason]:
        return [
            Reason(
                what,
                Decision.HOLD,
                f"{what} could not be read {len(times)} times in a row: {times[-1].text}",
                len(times),
                f"< {BLIND_IN_A_ROW}",
                len(times),
            )
            for (what, _), times in self._blind.items()
            if len(times) >= BLIND_IN_A_ROW
        ]


def _of(signal: str, service: str) -> str:
    return f"{signal} of {service}"


_EXCUSED = "stable is bad at the same time, so the release is not to blame"
