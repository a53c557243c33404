"""What a container prints, as Docker keeps it: each line once, and read from the end of what may be a long log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from typing import Protocol

from gate.containers.client import epoch
from gate.errors import EngineError

_LAST = (200, 10_000)
"""How many lines are asked for first: for all since a moment, Docker reads the whole log from its beginning."""
_PIECE = 16 * 1024  # bytes of a longer line that Docker keeps, and counts, as one
_OUT_OF_ORDER = 1.0  # seconds that a line may be stamped before one that stands before it: there are two streams
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z ")

Printed = Callable[..., bytes]
"""What a container printed, with time stamps; ``tail`` and ``since`` as Docker takes them."""


def since(name: str, printed: Printed, moment: float) -> list[str]:
    """Lines of a container from a moment on (seconds since 1970), each with the engine's own time stamp before it.

    Raises EngineError where Docker cannot read on and says so.
    """
    for last in _LAST:
        said = printed(tail=last)
        lines = _stamped(name, said)
        if len(lines) + len(said) // _PIECE < last or _written(lines[0]) < moment:  # all there is, or long enough
            return [line for line in lines if _written(line) >= moment]
    return _stamped(name, printed(since=moment))


def _stamped(name: str, said: bytes) -> list[str]:
    lines = said.decode(errors="replace").removesuffix("\n").split("\n") if said else []
    for line in lines:
        if not _STAMP.match(line):  # these are Docker's own words
            raise EngineError(f"{name}: the log cannot be read: {line[:200]}")
    return lines


def _written(line: str) -> float:
    return epoch(line.partition(" ")[0])


class Prints(Protocol):
    """A container of a service."""

    service: str

    def since(self, moment: float) -> list[str]:
        """Lines from a moment on, as ``since`` has them. Raises EngineError."""


class Followed:
    """New lines of containers, in each one's own order; implements ``gate.signals.lines.Lines``."""

    def __init__(self, units: Collection[Prints], scrub: Callable[[str], str]) -> None:
        self._units = units
        self._scrub = scrub
        self._began = time.time()
        self._last = dict.fromkeys((unit.service for unit in units), self._began)
        self._known: dict[str, set[str]] = {unit.service: set() for unit in units}
        self._waiting: list[tuple[str, str]] = []
        self.read_since = 0.0

    def __call__(self) -> list[tuple[str, str]]:
        began = time.monotonic()
        for unit in self._units:  # what was read of one waits while another cannot be read
            name = unit.service
            lines = unit.since(max(self._began, self._last[name] - _OUT_OF_ORDER))
            fresh = [line for line in lines if line not in self._known[name]]
            self._waiting += [(name, self._scrub(line.partition(" ")[2])) for line in fresh]
            self._last[name] = max([self._last[name], *map(_written, fresh)])
            self._known[name] = {line for line in lines if _written(line) >= self._last[name] - _OUT_OF_ORDER}
        new, self._waiting = self._waiting, []
        self.read_since = began
        return new
