"""What is seen of the releases that take live traffic, as plain values: judged as it comes in, and again by replay.

Times (``at``) are seconds since the watch began; what happened before it is negative. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

TICK = 0.1
"""Seconds of traffic that are counted, and judged, together."""


class Role(StrEnum):
    """Whose it is: the release that wants to serve, or the one that has served so far."""

    CANDIDATE = "candidate"
    STABLE = "stable"


@dataclass(frozen=True)
class TrafficStep:
    """From here on the candidate gets this ``share`` (0 to 1) of the traffic, for at most ``seconds``."""

    at: float
    share: float
    seconds: float


@dataclass(frozen=True)
class Wanted:
    """The signals that must be measured before GO, in this environment; cpu and memory of each of ``services``."""

    at: float
    signals: tuple[str, ...]
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Requests:
    """Requests of one route (``GET /api/sales/{id}``) that one release answered within one tick.

    ``errors`` of ``count`` are answers 5xx and requests nobody answered; ``gone`` are clients that left before the
    answer, beside ``count``; ``milliseconds`` is how many took how long. ``synthetic``: sent by the gate.
    """

    at: float
    role: Role
    route: str
    count: int
    errors: int
    gone: int = 0
    milliseconds: tuple[tuple[float, int], ...] = ()
    synthetic: bool = False


@dataclass(frozen=True)
class ServiceSeen:
    """One service of a release, asked now."""

    at: float
    role: Role
    service: str
    alive: bool
    healthy: bool
    detail: str = ""


@dataclass(frozen=True)
class Used:
    """Shares (0 to 1) of a service's own limits that it uses; None where it has none."""

    at: float
    role: Role
    service: str
    cpu: float | None
    memory: float | None


@dataclass(frozen=True)
class HostUsed:
    """Share (0 to 1) of the machine's disk in use."""

    at: float
    disk: float


@dataclass(frozen=True)
class ErrorLines:
    """Error lines that a service wrote to its log since the last time, and the first of them."""

    at: float
    role: Role
    service: str
    count: int
    first: str = ""


@dataclass(frozen=True)
class InvariantSeen:
    """A rule about the data and how many rows break it."""

    at: float
    name: str
    rows: int


@dataclass(frozen=True)
class Identified:
    """Who answered when the candidate was asked through the front door, and who should have."""

    at: float
    expected: str
    found: str


@dataclass(frozen=True)
class Blind:
    """A signal that could not be read: ``what`` is its name, ``text`` says why, ``role`` whose it would have been."""

    at: float
    what: str
    text: str
    role: Role = Role.CANDIDATE


@dataclass(frozen=True)
class Heard:
    """The proxy's log, which did not show a request that was just made, grows again."""

    at: float


@dataclass(frozen=True)
class Kept:
    """A person has said that the candidate goes on, although it was held."""

    at: float


@dataclass(frozen=True)
class Moment:
    """Everything up to here was seen, and the candidate was judged."""

    at: float


Observation = (
    TrafficStep
    | Wanted
    | Requests
    | ServiceSeen
    | Used
    | HostUsed
    | ErrorLines
    | InvariantSeen
    | Identified
    | Blind
    | Heard
    | Kept
    | Moment
)
_KINDS: dict[str, type] = {
    "step": TrafficStep,
    "wanted": Wanted,
    "requests": Requests,
    "service": ServiceSeen,
    "used": Used,
    "host": HostUsed,
    "lines": ErrorLines,
    "invariant": InvariantSeen,
    "identity": Identified,
    "blind": Blind,
    "heard": Heard,
    "kept": Kept,
    "moment": Moment,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_row(seen: Observation) -> list[Any]:
    """A list of builtins, the kind first: short, for there are many."""
    values = [getattr(seen, item.name) for item in fields(seen)]
    return [_NAMES[type(seen)], *map(_plain, values)]


def _plain(value: object) -> object:
    if isinstance(value, Role):
        return str(value)
    if isinstance(value, tuple):
        return [list(item) if isinstance(item, tuple) else item for item in value]
    return value


def from_row(row: Sequence[Any]) -> Observation:
    """The observation of a row. Raises ValueError for anything else."""
    try:
        kind, *values = row
        named = dict(zip((item.name for item in fields(_KINDS[kind])), values, strict=True))
        if "role" in named:
            named["role"] = Role(named["role"])
        if "milliseconds" in named:
            named["milliseconds"] = tuple((float(ms), int(many)) for ms, many in named["milliseconds"])
        for names in ("signals", "services"):
            if names in named:
                named[names] = tuple(map(str, named[names]))
        made: Observation = _KINDS[kind](**named)
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"{row!r} is no observation: {fault}") from None
    return made
