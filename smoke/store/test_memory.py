"""Does a sale leave something behind in memory? At a shop's pace a leak takes hours to show; here it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Resource Limits"), pytest.mark.critical]  # it ends with no server

TIMES = 24
CLIENTS = 12
# Bytes a sale. Pools and caches that fill for the first time take a fifth of this.
LIMIT = 256 * 1024


@pytest.mark.requires("units")
def test_sales_keep_no_memory(till: Any, load: Any, engine: Any, instance: Any) -> None:
    """Memory does not grow with every sale"""

    def sell(client: Any) -> Any:
        return till.send("POST", "/api/sales", till.order("banana"), client=client)

    before = memory(engine, instance)
    samples = load(sell, times=TIMES, clients=CLIENTS)
    grown = (memory(engine, instance) - before) / len(samples)
    assert grown < LIMIT, f"memory grows by {grown / 1024:.0f} kB with every sale, the limit is {LIMIT // 1024} kB"


def memory(engine: Any, instance: Any) -> int:
    """Bytes of all services together."""
    return sum(usage.memory for usage in engine.resources(instance))
