"""Traffic of the shop's own, for a candidate that too few users reach to judge it: sales in training mode, and reads.

``[traffic] synthetic`` names this file. It is no smoke test: what decides is what the proxy's log says of its requests.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.minor]

SALES = 20
SKUS = ("apple", "milk", "bread-rye", "pasta", "tea-black")


def test_training_sales_and_reads(till: Any) -> None:
    """Training sales and reads are sent, and answered"""
    faults: list[str] = []

    def send(method: str, path: str, body: Any = None) -> None:
        try:
            status = till.send(method, path, body).status_code
        except (AssertionError, OSError) as fault:  # cannot sign in, or no answer: the next one may fare better
            faults.append(f"{method} {path}: {type(fault).__name__}")
        else:
            if status >= 500:
                faults.append(f"{method} {path}: status {status}")

    for _, sku in zip(range(SALES), itertools.cycle(SKUS), strict=False):
        order = till.order(sku)
        send("POST", "/api/sales", order)
        send("GET", f"/api/sales/{order['order_id']}")
        send("GET", f"/api/items/{sku}")
    assert not faults, f"{len(faults)} of {3 * SALES} requests failed, the first: {faults[0]}"
