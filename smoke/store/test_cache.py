"""Is the cache really used? Without it every answer is right, and every busy Saturday is slow."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [
    pytest.mark.category("Environment Validation"),
    pytest.mark.requires("cache"),
    pytest.mark.critical,  # without it the database carries what it was not made for
]

SKU = "tea-black"


def test_cache_is_used(till: Any, cache: Any) -> None:
    """Items come from the cache, and a change is seen at once"""

    def read() -> tuple[Any, int]:
        answer = till.send("GET", f"/api/items/{SKU}")
        assert answer.status_code == 200, f"GET /api/items/{SKU}: status {answer.status_code}"
        return answer.headers.get("X-Cache"), answer.json()["stock"]

    def deliver() -> None:
        till.ask("POST", "/api/inventory/receive", {"sku": SKU, "quantity": 1}, expect=201)

    deliver()
    _, stock = read()
    cached, again = read()
    assert cached == "hit", f"the second read says X-Cache: {cached}, expected hit"
    assert again == stock, f"the cache says {again} are there, the database said {stock}"
    kept = cache.get(f"item:training:{SKU}")
    assert kept is not None, "the answer said hit, yet the cache holds nothing"
    assert json.loads(kept)["stock"] == stock, "the cache holds something else than was answered"

    deliver()
    cached, new = read()
    assert cached == "miss", f"after a delivery the read says X-Cache: {cached}, expected miss"
    assert new == stock + 1, f"after a delivery of 1 the shop says {new}, expected {stock + 1}"
