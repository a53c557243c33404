"""Lines of a log that takes its time to be read: by a command, or over a network, and never while somebody waits."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from gate.errors import EngineError, OperationFailed

_BETWEEN = 2.0  # seconds between two looks
_STALE = 45.0  # seconds without one that ended well: then nothing is known any more
_FORGOTTEN = 30.0  # seconds without anybody who asks: then nobody looks any more


class LaterLines:
    """Reads all lines again and again, and gives those that are new since the first look; ``all_new``: and those of it.

    Without ``all_new`` the log counts as read from the second look on.

    They are counted, not placed: what several machines wrote comes in no order.
    """

    def __init__(self, read: Callable[[], list[str]], *, all_new: bool = False) -> None:
        self._read = read
        self._all_new = all_new
        self._fresh: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._fault = ""
        self._well_at = self._asked_at = time.monotonic()
        self.read_since = 0.0
        threading.Thread(target=self._reading, name="reading a log", daemon=True).start()

    def __call__(self) -> list[str]:
        """What has come since the last call. Raises EngineError once it could not be read for long.

        Before the first look there is nothing, which ``read_since`` tells from a log without lines.
        """
        self._asked_at = time.monotonic()
        if self._asked_at - self._well_at > _STALE:
            raise EngineError(f"the log was not read for {self._asked_at - self._well_at:.0f} s{self._fault}")
        found = []
        while not self._fresh.empty():
            found.append(self._fresh.get())
        return found

    def _reading(self) -> None:
        seen: Counter[str] | None = Counter() if self._all_new else None
        pause = threading.Event().wait
        while time.monotonic() - self._asked_at < _FORGOTTEN:
            began = time.monotonic()
            try:
                told = Counter(self._read())
            except OperationFailed as fault:
                self._fault = f": {fault}"
            except Exception as fault:  # noqa: BLE001 - it is told, and looked again; a thread that ends would tell nothing
                self._fault = f": {type(fault).__name__}: {fault}"
            else:
                # What stands there at the first look was written before anybody looked.
                for line in (told - seen).elements() if seen is not None else ():
                    self._fresh.put(line)
                if seen is not None:
                    self.read_since = began
                seen, self._well_at = told if seen is None else seen | told, time.monotonic()
            pause(_BETWEEN)


class Later:
    """The later lines of several services, by name; implements ``gate.signals.lines.Lines``."""

    def __init__(self, logs: Mapping[str, LaterLines], scrub: Callable[[str], str]) -> None:
        self._logs = logs
        self._scrub = scrub
        self._waiting: list[tuple[str, str]] = []
        self.read_since = 0.0

    def __call__(self) -> list[tuple[str, str]]:
        since = min(log.read_since for log in self._logs.values())  # before: a look may end meanwhile
        faults: list[EngineError] = []
        for service, log in self._logs.items():
            try:
                self._waiting += [(service, self._scrub(line)) for line in log()]
            except EngineError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        told, self._waiting = self._waiting, []
        self.read_since = since
        return told
