"""How long users wait while traffic reaches nobody: counted, and what works meanwhile is told to hurry."""

from __future__ import annotations

import time
from collections.abc import Callable

from gate.config import Environment

_LEAST = 0.5  # seconds that anything gets, however late it is


class Pause:
    """The time between a withdrawal of the traffic and the next switch."""

    def __init__(self, environment: Environment, clock: Callable[[], float] = time.monotonic) -> None:
        self._environment = environment
        self._clock = clock
        self._began: float | None = None
        self._undoing = False

    def begin(self) -> None:
        """From now on users wait; nothing new when they do already."""
        self._began = self._clock() if self._began is None else self._began

    def end(self) -> float | None:
        """Nobody waits any more; the seconds it took, None when nobody had to."""
        began, self._began = self._began, None
        return self._clock() - began if began is not None else None

    @property
    def going_on(self) -> bool:
        """Whether users wait now."""
        return self._began is not None

    def undoing(self) -> None:
        """From now on everything is undone: that must succeed, even if it is late."""
        self._undoing = True

    def within(self, seconds: float) -> float:
        """``seconds``, or what is left of the pause if that is less."""
        if self._began is None:
            return seconds
        return min(seconds, max(_LEAST, self._began + self._allowed - self._clock()))

    def hurried(self) -> Environment:
        """The environment, with a migration that gives up before the pause is over."""
        database = self._environment.database
        if database is None or self._began is None or self._undoing:
            return self._environment
        shorter = {
            "lock_timeout": self.within(database.lock_timeout),
            "statement_timeout": self.within(database.statement_timeout),
            "lock_retries": 0,
        }
        return self._environment.derived({"database": database.model_copy(update=shorter)}, [])

    @property
    def _allowed(self) -> float:
        database = self._environment.database
        return (database.pause if database is not None else None) or self._environment.traffic.try_duration
