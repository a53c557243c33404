"""A log whose lines a test makes up."""

from __future__ import annotations

import time
from collections.abc import Callable


class MadeUp:
    """Read anew by each call; implements ``gate.signals.lines.Lines``."""

    def __init__(self, new: Callable[[], list[tuple[str, str]]]) -> None:
        self._new = new
        self.read_since = 0.0

    def __call__(self) -> list[tuple[str, str]]:
        began = time.monotonic()
        told = self._new()
        self.read_since = began
        return told
