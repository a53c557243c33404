"""The API's word, for what only a signed-in cashier is told."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.requires("openapi")]

PATHS = ("/api/session", "/api/items", "/api/items/apple", "/api/inventory/apple", "/api/reports/totals")


def test_answers_to_a_cashier(till: Any, contract: Any) -> None:
    """Answers to a signed-in cashier have the form the API document promises"""
    sale = till.sell(till.order("apple"))["sale"]
    for path in (*PATHS, f"/api/sales/{sale['order_id']}", f"/api/sales/{sale['order_id']}/receipt"):
        answer = till.send("GET", path)
        assert answer.status_code == 200, f"GET {path}: status {answer.status_code}, expected 200"
        faults = contract.faults(answer)
        assert not faults, f"GET {path}: {len(faults)} faults, the first: {faults[0]}"
