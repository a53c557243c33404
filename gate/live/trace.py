"""What a watch saw, told in time: requests of each second, and how the evidence grew. Made from the observations alone,
by the very judge that decided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gate.judging.limits import Rule
from gate.live.histogram import Histogram
from gate.live.judge import Judge, Standing
from gate.live.observations import Kept, Moment, Observation, Requests, Role, TrafficStep
from gate.results import Decision

EVERY = 0.5
"""Seconds between two points of evidence."""


@dataclass(frozen=True)
class Second:
    """Requests that one release answered in one second; ``p95`` in seconds."""

    at: float
    role: Role
    requests: int
    errors: int
    p95: float | None


@dataclass(frozen=True)
class Point:
    """How far the evidence on errors was, as shares of what decides: that the candidate is bad, that it is healthy."""

    at: float
    bad: float
    good: float


@dataclass(frozen=True)
class Replayed:
    """A watch, judged again. ``at`` is when the last standing was reached, in seconds since the watch began."""

    at: float
    standing: Standing
    points: tuple[Point, ...]


def replay(seen: Sequence[Observation], rules: Sequence[Rule]) -> Replayed:
    """Judges what was seen by ``rules``: to the first ROLLBACK, or HOLD that nobody kept, else to the last step's GO.

    A record that ends before these rules decide is not decided: its standing says so with None.
    """
    judge = Judge(rules)
    points: list[Point] = []
    standing, at = Standing(None), 0.0
    held = False
    for item in seen:
        if isinstance(item, TrafficStep):
            if held:
                break  # under these rules it would not have come to this step
            standing = Standing(None)
        held = held and not isinstance(item, Kept)
        judge.take(item)
        if not isinstance(item, Moment):
            continue
        found = judge.standing(item.at)
        news = _worse(found.decision, than=standing.decision)
        if not points or item.at >= points[-1].at + EVERY or news:
            bad, good = judge.evidence
            points.append(Point(item.at, _within(bad), _within(good)))
        if news or standing.decision is None:
            standing, at = found, item.at
            held = found.decision is Decision.HOLD
        if standing.decision is Decision.ROLLBACK:
            break
    return Replayed(at, standing, tuple(points))


def seconds(seen: Iterable[Observation]) -> tuple[Second, ...]:
    """Requests by second and role, in order; what was before the watch is left out."""
    counts: dict[tuple[int, Role], list[int]] = {}
    times: dict[tuple[int, Role], Histogram] = {}
    for item in seen:
        if not isinstance(item, Requests) or item.at < 0:
            continue
        key = (math.floor(item.at), item.role)
        found = counts.setdefault(key, [0, 0])
        found[0] += item.count
        found[1] += item.errors
        for milliseconds, many in item.milliseconds:
            times.setdefault(key, Histogram()).add(milliseconds, many)
    return tuple(
        Second(float(at), role, requests, errors, _p95(times.get((at, role))))
        for (at, role), (requests, errors) in sorted(counts.items())
    )


def _worse(found: Decision | None, *, than: Decision | None) -> bool:
    """Whether a decision is new: once a step is decided it can only get worse."""
    return found is not None and (than is None or Decision.worst([found, than]) is not than)


def _within(share: float) -> float:
    return round(min(max(share, 0.0), 1.5), 4)


def _p95(times: Histogram | None) -> float | None:
    value = times.quantile(0.95) if times is not None else None
    return None if value is None else value / 1000
