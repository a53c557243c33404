"""Ctrl-C and SIGTERM: one clean exception while work may stop, and a polite refusal at any other moment.

Signals are refused by default and heard only inside ``allowed``. So none can come between a failure and its undo, and
the second Ctrl-C of an impatient person changes nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

HEARD = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask the gate to stop; one that this system does not have is left out."""


class Interrupted(KeyboardInterrupt):
    """A person or the CI asked the gate to stop."""


class Interrupts:
    """Turns the first signal into ``Interrupted`` in the main thread, inside ``allowed`` or on the next entry to it."""

    def __init__(self, on_refused: Callable[[], None]) -> None:
        self._on_refused = on_refused
        self._allowed = False
        self._pending = False
        self._raised = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the signals of ``HEARD`` for a block, then gives the earlier handlers back."""
        before = {number: signal.signal(number, self._handle) for number in HEARD}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A block that a signal ends, once. Raises Interrupted at once when one came since the last block."""
        self._allowed = True
        try:
            if self._pending:
                self._interrupt()
            yield
        finally:
            self._allowed = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._allowed and not self._raised:
            self._interrupt()
        self._pending = True
        self._on_refused()

    def _interrupt(self) -> None:
        self._raised = True
        self._pending = False
        raise Interrupted
