"""What it takes of the machine, right after the load of the other cases."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Resource Limits")

SAMPLES = 3


@pytest.mark.requires("candidate", "units")
def test_cpu(usage: Any, measure: Any, warn: Any) -> None:
    """CPU of every service stays below its limit"""
    # Once users come in it is their doing as well: then the watch judges it, beside the release that served before.
    below_its_limit("cpu", usage, measure, warn)


@pytest.mark.requires("units")
def test_memory(usage: Any, measure: Any, warn: Any) -> None:
    """Memory of every service stays below its limit"""
    below_its_limit("memory", usage, measure, warn)


def below_its_limit(signal: str, usage: Any, measure: Any, warn: Any) -> None:
    """Measures a share. A limit is passed when every sample is past it, so the least of them is the one to judge."""
    taken = usage(SAMPLES)
    assert taken, "no service runs: nothing was measured"
    for name, samples in taken.items():
        limit = getattr(samples[0], f"{signal}_limit")
        if limit is None:
            warn(f"{name}: no limit is set, so nothing can be judged")
        else:
            measure(signal, min(getattr(each, signal) for each in samples) / limit, n=len(samples), detail=name)


def test_disk(engine: Any, measure: Any) -> None:
    """The disk has room"""
    measure("disk", engine.host().disk)
