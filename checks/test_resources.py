"""Resource Limits: no service may take the whole machine, and the machine has room for one more release."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytestmark = pytest.mark.category("Resource Limits")

SAMPLES = 3
BETWEEN_SAMPLES = 0.25  # seconds: shorter, and one busy moment would fill all of them


def test_every_service_has_limits(services: Any, no_faults: Any) -> None:
    """CPU and memory limits are set for every service."""
    found = [f"[services.{name}] has no limits" for name, service in services.items() if service.limits is None]
    no_faults(found, 'Write limits = { cpu = 1.0, memory = "512M" }, as measured under load.')


def test_host_has_headroom(engine: Any, measure: Any) -> None:
    """The host's CPU, memory and disk leave room for a second release beside the first."""
    samples = [engine.host()]
    while len(samples) < SAMPLES:
        threading.Event().wait(BETWEEN_SAMPLES)
        samples.append(engine.host())
    # Three in a row over a limit count, not one busy moment: so it is the lowest of them that is judged.
    for signal in ("cpu", "memory", "disk"):
        measure(
            signal, min(getattr(sample, signal) for sample in samples), n=SAMPLES, detail=f"host, {SAMPLES} samples"
        )
