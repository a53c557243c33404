"""Payments: taken once, given back once, and a refused card buys nothing."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical, pytest.mark.corruption]

# Numbers of the sandbox processor: it accepts the one and declines the other.
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"


def test_card_is_charged_once(till: Any) -> None:
    """A card is charged once, however often the order is sent"""
    order = till.order("chocolate", 2, card=GOOD_CARD)
    sale = till.sell(order)["sale"]
    till.sell(order)
    payments = till.ask("GET", f"/api/sales/{order['order_id']}")["payments"]
    charged = sum(payment["amount_cents"] for payment in payments)
    assert charged == sale["total_cents"], f"{charged} cents were charged for a sale of {sale['total_cents']}"
    assert len(payments) == 1, f"the card was charged {len(payments)} times"

    payment = till.ask("GET", f"/api/payments/{payments[0]['id']}")
    assert payment["state"] == "captured", f"the payment is {payment['state']}, expected captured"
    assert payment["card_last4"] == GOOD_CARD[-4:], f"the card's last digits are {payment['card_last4']}"


def test_declined_card_buys_nothing(till: Any) -> None:
    """A declined card leaves no sale and no movement behind"""
    order = till.order("newspaper", card=DECLINED_CARD)
    till.sell(order, expect=402)
    till.ask("GET", f"/api/sales/{order['order_id']}", expect=404)
    moved = [move for move in till.ledger("newspaper")["movements"] if move["order_id"] == order["order_id"]]
    assert not moved, f"a sale that was not paid moved {len(moved)} items"


def test_refund_is_given_once(till: Any) -> None:
    """A refund is given once per key, and never more than was paid"""
    order = till.order("batteries-aa", card=GOOD_CARD)
    sale = till.sell(order)["sale"]
    path = f"/api/sales/{order['order_id']}/refund"
    refund = {"idempotency_key": f"refund-{uuid.uuid4()}", "amount_cents": 100}
    first = till.ask("POST", path, refund, expect=201)
    again = till.ask("POST", path, refund, expect=201)
    assert again["id"] == first["id"], "the repeated refund was given again"
    payment = till.ask("GET", f"/api/payments/{sale['payments'][0]['id']}")
    assert payment["refunded_cents"] == 100, f"{payment['refunded_cents']} cents were refunded, 100 were asked for"

    too_much = {"idempotency_key": f"refund-{uuid.uuid4()}", "amount_cents": sale["total_cents"]}
    till.ask("POST", path, too_much, expect=409)
    rest = till.ask("POST", path, {"idempotency_key": f"refund-{uuid.uuid4()}"}, expect=201)
    assert rest["amount_cents"] == sale["total_cents"] - 100, f"the rest was {rest['amount_cents']} cents"
