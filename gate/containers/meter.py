"""What containers use: by their processes on this machine, by the engine's own figures on another."""

from __future__ import annotations

import time
from typing import Any, Protocol

from gate.config import ContainerSettings
from gate.containers.client import asked, client
from gate.engines import usage


class Meter(Protocol):
    """Reads one container after another; CPU is told for the time since the last reading of it."""

    def read(self, made: dict[str, Any]) -> tuple[float, int] | None:
        """CPU in cores and memory in bytes of a container that runs, as the engine describes it; None: not known."""


class ProcessMeter:
    """Containers of this machine; implements ``Meter``."""

    def __init__(self) -> None:
        self._meter = usage.Meter()

    def read(self, made: dict[str, Any]) -> tuple[float, int] | None:
        return self._meter.read(int(made["State"]["Pid"]))


class StatsMeter:
    """Containers of another machine; implements ``Meter``. The first reading of one tells no CPU."""

    def __init__(self, docker: ContainerSettings) -> None:
        self._docker = docker
        self._last: dict[str, tuple[float, float]] = {}

    def read(self, made: dict[str, Any]) -> tuple[float, int] | None:
        """Raises EngineError."""
        with asked(str(made["Name"])):
            stats: dict[str, Any] = client(self._docker).api.stats(made["Id"], stream=False, one_shot=True)
        used = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
        memory = stats.get("memory_stats", {})
        if not used or not memory.get("usage"):  # a busy engine answers without figures: that is not nothing used
            return None
        seconds = float(used) / 1e9
        held = memory.get("stats", {})
        # Pages that are only cached files are given back when anybody needs them.
        cached = held.get("total_inactive_file", held.get("inactive_file", 0))
        now = time.monotonic()
        before, then = self._last.get(made["Id"], (seconds, now - 1))
        self._last[made["Id"]] = (seconds, now)
        return max(0.0, seconds - before) / max(now - then, 0.001), max(0, int(memory["usage"]) - int(cached))
