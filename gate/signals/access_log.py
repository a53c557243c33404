"""The proxy's log of requests as observations: who answered what, how fast, in ticks of 0.1 seconds.

``upstream`` in a line names the instance that was dialled last (``gate.routing.traffic``). A client can put anything
into a path, so a line is data to be counted, never a reason to stop.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from gate.live.observations import TICK, Blind, Requests, Role
from gate.routing.dial import instance_of
from gate.signals.routes import Routes
from gate.signals.switching import Recent, Switching
from gate.signals.tail import Follower

_SIGNAL = "error_rate"
_UNREADABLE_LINES = 20  # in a row: the log is not what we take it for
_PATIENCE = 1.0  # seconds: while it is rotated there is no file for a moment; also between two complaints
_SWITCHED_PROTOCOLS = 101
CLIENT_LEFT = 499
_END_OF_TIME = 1e11  # epoch seconds
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class AccessLog:
    """Follows one proxy's log from now on.

    ``roles`` maps instances' ids to what they are now and may change while we follow. ``origin`` is the epoch time
    that ``at`` counts from. Probes of a path in ``ignore`` are dropped: the gate asks them all the time.
    ``redact`` takes secrets out of paths.
    """

    def __init__(
        self,
        file: Path,
        roles: Mapping[str, Role],
        origin: float,
        ignore: Collection[str] = (),
        *,
        clock: Callable[[], float] = time.time,
        redact: Callable[[str], str] = str,
    ) -> None:
        self.malformed = 0
        """Lines that are no request."""
        self.strangers = 0
        """Users' requests answered by instances that have no role here."""
        self.unanswered: list[float] = []
        """When users' requests failed that reached no instance at all, of the last ``read``."""
        self.cut_off: list[float] = []
        """When answers broke off in their middle, of the last ``read``: the release died, or the client left.

        The proxy writes neither which of the two nor who answered.
        """
        self.lines = 0
        """Requests of any kind that were read: after one of one's own more of them show that the log lives."""
        self._file = file
        self._follower = Follower(file, from_end=True)
        self._roles = roles
        self._origin = origin
        self._ignore = frozenset(ignore)
        self._clock = clock
        self._routes = Routes(redact)
        self._recent = Recent()
        self._malformed_in_a_row = 0
        self._told_lost = 0
        self._absent_since: float | None = None
        self._complained_at = -math.inf

    def read(self) -> list[Requests | Blind]:
        """Everything new, one row for each tick, role, route and origin; and why nothing can be known, if so."""
        self.unanswered, self.cut_off = [], []
        counts = _Counts()
        malformed = self.malformed
        for text in self._follower.read():
            line = self._parsed(text)
            if line is not None:
                self._count(line, counts)
        blind = self._complaint(more_malformed=self.malformed > malformed)
        return [*counts.rows(), blind] if blind else [*counts.rows()]

    def before(self, seconds: float) -> list[Requests]:
        """What the stable release answered users from ``seconds`` before ``origin`` on. Ask before the first ``read``.

        Reads a few megabytes from the end of the log, and as much of the file rotated last if that does not reach
        back far enough. What it returns, ``read`` does not return again.
        """
        counts = _Counts()
        since = self._origin - seconds
        for texts in self._follower.earlier():
            lines = [line for text in texts if (line := self._parsed(text))]
            for line in lines:
                role = self._roles.get(line.instance or "")
                if line.ended >= since and role is Role.STABLE and not line.probe:
                    counts.add(self._tick(line), role, self._routes.name(line.method, line.path, line.status), line)
            if any(line.ended < since for line in lines):
                break
        return counts.rows()

    def recall(self, seconds: float) -> None:
        """Lets ``around`` know users' requests from ``seconds`` before ``origin`` on that were written before now.

        Reaches as far back as ``before``; ``around`` says where that is not far enough. Ask before the first ``read``.
        """
        since = self._origin - seconds
        for texts in self._follower.earlier():
            lines = [line for text in texts if (line := self._parsed(text))]
            for line in lines:
                if line.ended >= since:
                    self._remember(line)
            if any(line.ended < since for line in lines):
                return
        self._recent.forget()

    def around(self, at: float, before: float, after: float) -> Switching:
        """What a switch at ``at`` cost users, whoever answered them: from lines that were read already."""
        return self._recent.around(self._origin + at, before, after)

    def close(self) -> None:
        """Lets go of the log."""
        self._follower.close()

    def _parsed(self, text: str) -> Line | None:
        try:
            line = parse(text)
        except MALFORMED:
            self.malformed += 1
            self._malformed_in_a_row += 1
            return None
        self._malformed_in_a_row = 0
        return line

    def _count(self, line: Line, counts: _Counts) -> None:
        at = line.ended - self._origin
        self.lines += 1
        self._remember(line)
        if line.cut_off:
            self.cut_off.append(round(at, 4))
        elif line.instance is None and line.failed and not line.probe:
            self.unanswered.append(round(at, 4))
            if line.foreign and line.path not in self._ignore:
                # Nobody can say whose fault it was, and nobody else is on trial.
                route = self._routes.name(line.method, line.path, line.status)
                counts.add(self._tick(line), Role.CANDIDATE, route, line)
        if line.instance is None or (line.path in self._ignore and (line.probe or line.foreign)):
            return
        role = self._roles.get(line.instance)
        if role is not None:
            if role is Role.CANDIDATE and line.began < self._origin - TICK:
                line = line._replace(milliseconds=None)  # it waited for a migration, not for the candidate
            counts.add(self._tick(line), role, self._routes.name(line.method, line.path, line.status), line)
        elif not line.probe:
            self.strangers += 1

    def _remember(self, line: Line) -> None:
        """A user's request, for the cost of switches."""
        if line.cut_off:
            self._recent.add_cut_off(line.ended)
        elif not line.probe and line.status != CLIENT_LEFT:
            self._recent.add(line.ended, failed=line.failed)

    def _tick(self, line: Line) -> int:
        return math.floor((line.ended - self._origin) / TICK)

    def _complaint(self, *, more_malformed: bool) -> Blind | None:
        """Why requests are not seen, at most once a second."""
        now, fault = self._clock() - self._origin, self._follower.fault
        if fault is None:
            self._absent_since = None
        elif self._absent_since is None:
            self._absent_since = now
        if now - self._complained_at < _PATIENCE:
            return None
        if self._absent_since is not None and now - self._absent_since >= _PATIENCE:
            text = f"{self._file}: {fault}"
        elif self._follower.lost > self._told_lost:
            text = (
                f"{self._file}: {self._follower.lost - self._told_lost} rotated files were gone before they were read"
            )
            self._told_lost = self._follower.lost
        elif more_malformed and self._malformed_in_a_row >= _UNREADABLE_LINES:
            text = f"{self._file}: {self._malformed_in_a_row} lines in a row are no requests as the proxy writes them"
        else:
            return None
        self._complained_at = now
        return Blind(round(now, 4), _SIGNAL, text)


class Line(NamedTuple):
    """A request: ``instance`` is None when nobody of ours was dialled, ``milliseconds`` when it is not known."""

    ended: float
    status: int
    milliseconds: float | None
    method: str
    path: str
    instance: str | None
    probe: bool
    foreign: bool  # of a log that is not our proxy's: nothing in it marks the gate's own questions
    cut_off: bool

    @property
    def began(self) -> float:
        return self.ended - (self.milliseconds or 0.0) / 1000

    @property
    def failed(self) -> bool:
        return self.status >= 500 or self.status == 0


class _Counts:
    """Requests counted by tick, role, route and origin."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, Role, str, bool], tuple[list[int], Counter[float]]] = {}

    def add(self, tick: int, role: Role, route: str, line: Line) -> None:
        key = (tick, role, route, line.probe)
        if key not in self._found:
            self._found[key] = ([0, 0, 0], Counter())
        counts, milliseconds = self._found[key]
        if line.status == CLIENT_LEFT:
            counts[2] += 1
            return
        counts[0] += 1
        counts[1] += line.failed
        if line.milliseconds is not None:
            milliseconds[line.milliseconds] += 1

    def rows(self) -> list[Requests]:
        """In the order of time."""
        return [
            Requests(
                at=round(tick * TICK, 1),
                role=role,
                route=route,
                count=counts[0],
                errors=counts[1],
                gone=counts[2],
                milliseconds=tuple(sorted(milliseconds.items())),
                synthetic=synthetic,
            )
            for (tick, role, route, synthetic), (counts, milliseconds) in sorted(self._found.items())
        ]


def parse(text: str) -> Line:
    """One line of the log. Raises one of ``MALFORMED`` for anything else."""
    entry = json.loads(text)
    request, ended, status = entry["request"], entry["ts"], entry["status"]
    method, path = request["method"], request["uri"]
    if not (isinstance(method, str) and isinstance(path, str)):
        raise TypeError
    if not (0 < ended < _END_OF_TIME and 0 <= status < 1000):
        raise ValueError
    release = entry.get("release")  # by a load balancer of the team's: what it knows a release by
    return Line(
        ended,
        status,
        None if status == _SWITCHED_PROTOCOLS else _rounded(entry.get("duration")),
        method,
        path.partition("?")[0],
        _released(release) if isinstance(release, str) else _instance(entry.get("upstream", "")),
        entry.get("probe") == "yes",
        "release" in entry,
        # What is to be added to the line is added once the answer is whole, and so is the time it took.
        cut_off="upstream" not in entry and "release" not in entry and entry.get("duration") == 0,
    )


def _released(text: str) -> str | None:
    """What a load balancer of the team's wrote: ``-`` or nothing where nobody answered it."""
    return None if text.strip() in {"", "-"} else text


def _rounded(duration: float | None) -> float | None:
    """Seconds as milliseconds with three figures that count."""
    if duration is None or not 0 <= duration < _END_OF_TIME:
        return None
    return float(f"{duration * 1000:.3g}")


_instance = functools.lru_cache(maxsize=256)(instance_of)
