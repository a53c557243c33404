"""What a process and its descendants use, and how loaded the machine is."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gate.engines.base import Host

if TYPE_CHECKING:
    import psutil

_FIRST_SECONDS = 0.1


class Meter:
    """Remembers the last reading of each process, so that CPU is told for the time since then."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, float]] = {}

    def read(self, pid: int) -> tuple[float, int] | None:
        """CPU in cores (at first: since the process started) and memory in bytes; None of one that is not seen here."""
        import psutil

        try:
            main = psutil.Process(pid)
            family = [main, *main.children(recursive=True)]
            own = main.cpu_times()
            # Children that ended count as well, or the sum would fall.
            seconds = own.children_user + own.children_system
            began = main.create_time()
        except psutil.Error:
            return None
        memory = 0
        for process in family:
            try:
                times = process.cpu_times()
                seconds += times.user + times.system
                memory += _own_memory(process, alone=len(family) == 1)
            except psutil.Error:
                continue
        now = time.time()
        before, then = self._last.get(pid, (0.0, began))
        self._last[pid] = (seconds, now)
        return max(0.0, seconds - before) / max(now - then, 0.001), memory


@dataclass(frozen=True)
class Spent:
    """CPU seconds since the machine started: all there were, those nobody used, and those of the gate's processes."""

    total: float
    idle: float
    own: float


class Machine:
    """Reads the load of this machine; that of the CPU is told for the time since the call before."""

    def __init__(self) -> None:
        self._last: Spent | None = None

    def read(self, disk: Path) -> Host:
        """``disk`` is a path on the file system that matters. The first call takes a tenth of a second."""
        import psutil

        while not disk.exists():
            disk = disk.parent
        space = psutil.disk_usage(str(disk))
        if self._last is None:
            self._last = _spent()
            threading.Event().wait(_FIRST_SECONDS)
        before, self._last = self._last, _spent()
        cpu, own = shares(before, self._last)
        return Host(
            cpu=cpu,
            own=own,
            memory=psutil.virtual_memory().percent / 100,
            disk=space.percent / 100,
            disk_free=space.free,
            cores=psutil.cpu_count() or 1,
        )


def shares(before: Spent, after: Spent) -> tuple[float, float]:
    """What others used of the CPU time that the gate's own processes left, and the own part of all; 0 to 1.

    To leave the own part out of both, not only out of what was used, is what makes it honest: others that get a half
    of the machine beside us would have taken more of it.
    """
    total = max(after.total - before.total, 0.001)
    own = min(max(after.own - before.own, 0.0), total)
    used = max(total - (after.idle - before.idle) - own, 0.0)
    left = total - own
    return (min(used / left, 1.0) if left > 0 else 1.0), own / total


def _spent() -> Spent:
    import psutil

    times = psutil.cpu_times()._asdict()
    twice = times.get("guest", 0.0) + times.get("guest_nice", 0.0)  # part of user and nice as well
    return Spent(sum(times.values()) - twice, times["idle"] + times.get("iowait", 0.0), _own_seconds())


def _own_seconds() -> float:
    """What the command this process belongs to, with all that it started, has used: a suite runs in many processes."""
    import psutil

    top = psutil.Process()
    try:
        while (parent := top.parent()) is not None and parent.exe() == top.exe():
            top = parent
    except psutil.Error:  # somebody else's: not ours any more
        pass
    seconds = 0.0
    for process in [top, *top.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            seconds += sum(process.cpu_times()[:4])  # its own, and its children's that have ended
    return seconds


def _own_memory(process: psutil.Process, *, alone: bool) -> int:
    """Resident memory; of several processes each one's share of what they have in common, where the system tells."""
    import psutil

    if not alone:
        try:
            share = getattr(process.memory_full_info(), "pss", None)
        except psutil.AccessDenied:
            share = None
        if share:
            return int(share)
    return int(process.memory_info().rss)
