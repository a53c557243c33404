"""Traffic of the team's own for the candidate, while users send too little to judge by: a file of cases, run again and
again until the watch has seen enough."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gate.results import SuiteResult

PAUSE = 0.2
"""Seconds between two batches."""


class Synthetic:
    """Runs batches in the background. What they find decides nothing: the proxy's log counts their requests."""

    def __init__(self, batch: Callable[[Callable[[], str]], SuiteResult], wanted: Callable[[], bool]) -> None:
        self._batch = batch
        self._wanted = wanted
        self._ended = threading.Event()
        self.broken = ""
        self.batches = 0
        self._thread = threading.Thread(target=self._send, name="synthetic traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the present batch and sends no other."""
        self._ended.set()
        self._thread.join(timeout=15)

    def _send(self) -> None:
        while not self._ended.wait(PAUSE):
            if not self._wanted():
                continue
            try:
                result = self._batch(lambda: "enough" if self._ended.is_set() else "")
            except Exception as fault:  # noqa: BLE001 - without this traffic the watch holds; why is told
                self.broken = f"{type(fault).__name__}: {fault}"
                return
            self.batches += 1
            self.broken = result.broken
