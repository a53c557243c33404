"""Resource Limits: no service may take the whole machine, and the machine has room for one more release."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

pytestmark = pytest.mark.category("Resource Limits")

SAMPLES = 3
SECONDS = 0.5  # that a sample lasts
WITHIN = 30.0  # seconds: for so long the other cases of a parallel run may leave too little to see the rest by
BUSY = 0.5  # of the CPU in these cases' own hands: what others use beside that says little


@pytest.mark.requires("units")
def test_every_service_has_limits(services: Any, no_faults: Any) -> None:
    """CPU and memory limits are set for every service."""
    found = [f"[services.{name}] has no limits" for name, service in services.items() if service.limits is None]
    no_faults(found, 'Write limits = { cpu = 1.0, memory = "512M" }, as measured under load.')


def test_host_has_headroom(engine: Any, measure: Any) -> None:
    """The host's CPU, memory and disk leave room for a second release beside the first."""
    began, taken = time.monotonic(), [engine.host()]
    samples: list[Any] = []
    while len(samples) < SAMPLES and time.monotonic() - began < WITHIN:
        threading.Event().wait(SECONDS)
        taken.append(engine.host())
        samples = [sample for sample in taken[1:] if sample.own <= BUSY]
    # Three in a row over a limit count, not one busy moment: so it is the lowest of them that is judged.
    seen = f"host, {len(samples)} samples without this suite's own load"
    measure("cpu", min((sample.cpu for sample in samples), default=1.0), n=len(samples), detail=seen)
    for signal in ("memory", "disk"):
        measure(signal, min(getattr(sample, signal) for sample in taken), n=len(taken), detail="host")
