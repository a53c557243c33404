"""Counter checkout: from the first scan to the receipt, once, with the stock moved."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]


def test_counter_checkout(till: Any) -> None:
    """A cart becomes a sale, and the receipt is right"""
    cart = till.ask("POST", "/api/carts", expect=201)
    lines = [{"sku": "milk", "quantity": 2}, {"sku": "bread-rye", "quantity": 1}]
    cart = till.ask("PUT", f"/api/carts/{cart['id']}/lines", {"lines": lines})
    total = sum(line["quantity"] * line["price_cents"] for line in cart["lines"])
    assert cart["total_cents"] == total > 0, f"the cart costs {cart['total_cents']} cents, its lines {total}"

    order = till.order("", cart_id=cart["id"])
    del order["lines"]
    order["payment"]["tendered_cents"] = total + 500
    sale = till.sell(order)["sale"]
    assert sale["total_cents"] == total, f"sold for {sale['total_cents']} cents, the cart said {total}"
    paid = [payment["amount_cents"] for payment in sale["payments"]]
    assert paid == [total], f"payments of {paid} cents for a sale of {total}"

    receipt = till.ask("GET", f"/api/sales/{order['order_id']}/receipt")
    sold = {line["sku"]: line["quantity"] for line in receipt["lines"]}
    assert sold == {"milk": 2, "bread-rye": 1}, f"the receipt lists {sold}"
    assert receipt.get("total_cents") == total, f"the receipt's total is {receipt.get('total_cents')}, expected {total}"
    assert receipt["change_cents"] == 500, f"the receipt's change is {receipt['change_cents']}, expected 500"
    assert receipt["training"] is True, "a training sale is not marked on its receipt"


@pytest.mark.corruption
def test_order_is_sold_once(till: Any) -> None:
    """The same order again is not sold again, and another one under its id is refused"""
    order = till.order("butter", 3)
    first, again = till.sell(order), till.sell(order)
    assert again["receipt"] == first["receipt"], "the repeated order got another receipt"
    sold = [move for move in till.ledger("butter")["movements"] if move["order_id"] == order["order_id"]]
    assert len(sold) <= 1, f"the repeated order moved its stock {len(sold)} times"
    till.sell({**order, "lines": [{"sku": "butter", "quantity": 4}]}, expect=409)


@pytest.mark.corruption
def test_sale_moves_its_stock(till: Any) -> None:
    """A sale takes its goods from the stock, and the ledger says so"""
    before = till.ledger("pasta")["stock"]
    order = till.order("pasta", 5)
    till.sell(order)
    after = till.ledger("pasta")
    assert after["stock"] == before - 5, f"stock went from {before} to {after['stock']} when 5 were sold"
    assert after["ledger"] == after["stock"], f"the ledger says {after['ledger']}, the stock {after['stock']}"
    moved = [(move["kind"], move["change"]) for move in after["movements"] if move["order_id"] == order["order_id"]]
    assert moved == [("sale", -5)], f"the sale's movements are {moved}"


def test_training_is_not_in_the_totals(till: Any) -> None:
    """Training sales are in no report"""
    before = till.ask("GET", "/api/reports/totals")
    total = till.sell(till.order("coffee", 999))["sale"]["total_cents"]
    after = till.ask("GET", "/api/reports/totals")
    # Customers buy in the meantime, too, but not for as much as this.
    rise = after["sold_cents"] - before["sold_cents"]
    assert rise < total, f"the totals rose by {rise} cents with a training sale of {total}"
