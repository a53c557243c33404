"""New lines of services' log files, each with the service that wrote it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gate.errors import EngineError
from gate.signals.tail import Follower

_AT_ONCE = 1024 * 1024  # bytes of one service's log


class LogFiles:
    """Follows log files from now on. A call returns what was written since the last one, as (service, line).

    ``scrub`` takes secrets out of a line. A log that is not there yet is none of our business: that its service does
    not run is told by its health.
    """

    def __init__(self, logs: Mapping[str, Path], scrub: Callable[[str], str]) -> None:
        self._followers = {service: Follower(file, from_end=True, at_once=_AT_ONCE) for service, file in logs.items()}
        self._scrub = scrub
        self._waiting: list[tuple[str, str]] = []
        self.read_since = 0.0

    def __call__(self) -> list[tuple[str, str]]:
        """At most a megabyte of each log, the rest with the next call.

        Raises EngineError while one cannot be read; lines of the others are kept for the call after that.
        """
        began = time.monotonic()
        held_up = any(map(_broken, self._followers.values()))
        for service, follower in self._followers.items():
            if not held_up or _broken(follower):  # nothing may pile up meanwhile
                self._waiting += [(service, self._scrub(line)) for line in follower.read()]
        for follower in filter(_broken, self._followers.values()):
            raise EngineError(f"{follower.path}: cannot be read: {follower.fault}")
        found, self._waiting = self._waiting, []
        self.read_since = began
        return found


def _broken(follower: Follower) -> bool:
    return follower.fault is not None and not follower.absent
