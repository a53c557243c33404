"""Inventory: what comes in, what is corrected, and that nothing is sold that is not there."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical, pytest.mark.corruption]


def test_delivery(till: Any) -> None:
    """A delivery raises the stock, a correction lowers it, and the ledger explains both"""
    before = till.ledger("soap")["stock"]
    reference = f"smoke-{uuid.uuid4()}"
    till.ask("POST", "/api/inventory/receive", {"sku": "soap", "quantity": 7, "reference": reference}, expect=201)
    till.ask("POST", "/api/inventory/adjust", {"sku": "soap", "change": -2, "reason": reference}, expect=201)
    after = till.ledger("soap")
    moved = sorted((move["kind"], move["change"]) for move in after["movements"] if move["reference"] == reference)
    assert moved == [("adjust", -2), ("receive", 7)], f"7 delivered and 2 taken off, the ledger says {moved}"
    assert after["stock"] == before + 5, f"stock went from {before} to {after['stock']}, expected {before + 5}"
    assert after["ledger"] == after["stock"], f"the ledger says {after['ledger']}, the stock {after['stock']}"


def test_stock_never_below_zero(till: Any) -> None:
    """Nothing is sold that is not on the shelf"""
    stock = till.ledger("lighter")["stock"]
    taken = {"sku": "lighter", "change": 3 - stock, "reason": "smoke test: an almost empty shelf"}
    till.ask("POST", "/api/inventory/adjust", taken, expect=201)
    order = till.order("lighter", 4)
    till.sell(order, expect=409)
    till.ask("GET", f"/api/sales/{order['order_id']}", expect=404)
    till.ask("POST", "/api/inventory/adjust", {**taken, "change": -4}, expect=409)
    left = till.ledger("lighter")["stock"]
    assert left == 3, f"{left} are left of 3 after two refused attempts to take 4"
    till.ask("POST", "/api/inventory/adjust", {**taken, "change": stock - 3}, expect=201)
