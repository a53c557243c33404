"""What a process and its descendants use, and how loaded the machine is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from gate.engines.base import Host

if TYPE_CHECKING:
    import psutil


class Meter:
    """Remembers the last reading of each process, so that CPU is told for the time since then."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, float]] = {}

    def read(self, pid: int) -> tuple[float, int]:
        """CPU in cores (at first: since the process started) and memory in bytes; zeros when it has just ended."""
        import psutil

        try:
            main = psutil.Process(pid)
            family = [main, *main.children(recursive=True)]
            own = main.cpu_times()
            # Children that ended count as well, or the sum would fall.
            seconds = own.children_user + own.children_system
            began = main.create_time()
        except psutil.Error:
            return 0.0, 0
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


def host(disk: Path) -> Host:
    """The load of this machine; ``disk`` is a path on the file system that matters."""
    import psutil

    while not disk.exists():
        disk = disk.parent
    space = psutil.disk_usage(str(disk))
    return Host(
        cpu=psutil.cpu_percent(interval=0.1) / 100,
        memory=psutil.virtual_memory().percent / 100,
        disk=space.percent / 100,
        disk_free=space.free,
        cores=psutil.cpu_count() or 1,
    )


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
