"""Ctrl-C and SIGTERM: one clean exception while work may stop, a polite refusal while something is being undone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """A person or the CI asked the gate to stop."""


class Interrupts:
    """Turns signals into ``Interrupted`` in the main thread, except inside ``shielded``."""

    def __init__(self, on_refused: Callable[[], None]) -> None:
        self._on_refused = on_refused
        self._shields = 0
        self.refused = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles SIGINT, SIGTERM and SIGHUP for a block, then gives the earlier handlers back."""
        caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._handle) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """A block that a signal does not end: an undo, or what follows the decision to keep a release."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._shields:
            self.refused = True
            self._on_refused()
            return
        raise Interrupted
