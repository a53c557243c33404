"""What it takes of the machine, right after the load of the other cases."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Resource Limits")

SAMPLES = 3


@pytest.mark.requires("candidate")
def test_cpu(usage: Any, measure: Any, warn: Any) -> None:
    """CPU of every service stays below its limit"""
    # Once users come in it is their doing as well: then the watch judges it, beside the release that served before.
    for name, samples in _taken(usage).items():
        limit = samples[0].cpu_limit
        if limit is None:
            warn(f"{name}: no limit is set, so nothing can be judged")
        else:
            measure("cpu", min(each.cpu for each in samples) / limit, n=len(samples), detail=name)


def test_memory(usage: Any, measure: Any, warn: Any) -> None:
    """Memory of every service stays below its limit"""
    for name, samples in _taken(usage).items():
        limit = samples[0].memory_limit
        if limit is None:
            warn(f"{name}: no limit is set, so nothing can be judged")
        else:
            measure("memory", min(each.memory for each in samples) / limit, n=len(samples), detail=name)


def _taken(usage: Any) -> Any:
    """Samples by service. A limit is passed when every one of them is past it, so the least is the one to judge."""
    taken = usage(SAMPLES)
    assert taken, "no service runs: nothing was measured"
    return taken


def test_disk(engine: Any, measure: Any) -> None:
    """The disk has room"""
    measure("disk", engine.host().disk)
