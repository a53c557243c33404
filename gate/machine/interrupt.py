"""Ctrl-C and SIGTERM: one clean exception while work may stop, and a polite refusal at any other moment.

Signals are refused by default and heard only inside ``allowed``. So none can come between a failure and its undo, and
the second Ctrl-C of an impatient person changes nothing.

Python drops an exception raised while a finaliser or a weak reference's callback runs, and a signal may come then. So
what was dropped is raised once more.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

HEARD = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask the gate to stop; one that this system does not have is left out."""

AGAIN_AFTER = 0.02
"""Seconds until a signal whose exception was dropped comes again: the finaliser that it hit has ended by then."""


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
        hook = sys.unraisablehook

        def dropped(what: UnraisableHookArgs) -> None:
            if issubclass(what.exc_type, Interrupted):
                self._dropped()
            else:
                hook(what)

        before = {number: signal.signal(number, self._handle) for number in HEARD}
        sys.unraisablehook = dropped
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A block that a signal ends, once. Raises Interrupted at once when one came since the last block.

        Also at its end, when the block swallowed it or had no more time to hear it.
        """
        raised = self._raised
        self._allowed = True
        try:
            if self._pending:
                self._interrupt()
            yield
            if self._raised is not raised or self._pending:
                self._interrupt()
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

    def _dropped(self) -> None:
        self._raised = False
        self._pending = True
        again = threading.Timer(AGAIN_AFTER, self._again)
        again.daemon = True
        again.start()

    def _again(self) -> None:
        if not self._pending or not self._allowed:
            return
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            signal.raise_signal(signal.SIGINT)
