"""What libraries, threads and Python itself say without being asked: shown like everything else, without secrets.

A library may log an address with the token in it, and a thread that dies shows what it was doing.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gate.redact import Redactor


class Strays(logging.Handler):
    """Hands it to ``write`` without what ``redact`` knows: more, once the environment has told its secrets."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.redact = Redactor()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            told = f"{record.name}: {self.format(record)}"
        except Exception as fault:  # noqa: BLE001 - Python would show the message's parts as they are
            told = f"{record.name}: a message that cannot be put together: {type(fault).__name__}"
        self._write(f"{self.redact(told)}\n")

    def died(self, told: threading.ExceptHookArgs) -> None:
        """Shows what a thread died of."""
        name = told.thread.name if told.thread is not None else "unknown"
        trace = "".join(traceback.format_exception(told.exc_type, told.exc_value, told.exc_traceback))
        self._write(self.redact(f"the thread {name!r} died\n{trace}"))


@contextmanager
def heard(write: Callable[[str], None]) -> Iterator[Strays]:
    """Hears them for as long as the block runs."""
    strays, root, hook = Strays(write), logging.getLogger(), threading.excepthook
    root.addHandler(strays)
    logging.captureWarnings(True)
    threading.excepthook = strays.died
    try:
        yield strays
    finally:
        threading.excepthook = hook
        logging.captureWarnings(False)
        root.removeHandler(strays)
