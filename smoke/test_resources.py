"""What it takes of the machine, right after the load of the other cases."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Resource Limits")

SAMPLES = 3


def test_cpu_and_memory(usage: Any, measure: Any, warn: Any) -> None:
    """CPU and memory of every service stay below their limits"""
    taken = usage(SAMPLES)
    assert taken, "no service runs: nothing was measured"
    for name, samples in taken.items():
        first = samples[0]
        # A limit is passed when every one of the samples is past it, so the least of them is the one to judge.
        if first.cpu_limit is not None:
            measure("cpu", min(each.cpu for each in samples) / first.cpu_limit, n=len(samples), detail=name)
        if first.memory_limit is not None:
            measure("memory", min(each.memory for each in samples) / first.memory_limit, n=len(samples), detail=name)
        if first.cpu_limit is None or first.memory_limit is None:
            warn(f"{name}: no limit is set, so nothing can be judged")


def test_disk(engine: Any, measure: Any) -> None:
    """The disk has room"""
    measure("disk", engine.host().disk)
