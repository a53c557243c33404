"""Money and age."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from tests.store.running import Instance, card, order


def refund(shop: Instance, order_id: str, key: str, amount: int | None = None) -> Any:
    body = {"idempotency_key": key, "amount_cents": amount}
    return shop.client.post(f"/api/sales/{order_id}/refund", headers=shop.cashier(), json=body)


def test_a_card_is_charged_once(shop: Instance) -> None:
    wanted = order(payment=card())
    for _ in range(2):
        sold = shop.sell(shop.cashier(), wanted)
        assert sold.json()["receipt"]["card_last4"] == "0077"
    [payment] = sold.json()["sale"]["payments"]
    shown = shop.client.get(f"/api/payments/{payment['id']}", headers=shop.cashier()).json()
    assert shown == payment
    assert (shown["state"], shown["amount_cents"]) == ("captured", 129)


@pytest.mark.parametrize("number", ["4000000000000002", "4000000000000069", "4000000000009995"])
def test_a_declined_card_sells_nothing(shop: Instance, number: str) -> None:
    clerk, wanted = shop.cashier(), order("eggs-10", payment=card(number))
    before = shop.stock(clerk, "eggs-10")
    declined = shop.sell(clerk, wanted)
    assert (declined.status_code, declined.json()["code"]) == (402, "payment_declined")
    assert number not in declined.text
    assert shop.client.get(f"/api/sales/{wanted['order_id']}", headers=clerk).status_code == 404
    assert shop.stock(clerk, "eggs-10") == before
    # With another card the same order goes through.
    assert shop.sell(clerk, {**wanted, "payment": card()}).status_code == 201


def test_a_key_pays_for_one_order_only(shop: Instance) -> None:
    wanted = order(payment=card())
    assert shop.sell(shop.cashier(), wanted).status_code == 201
    other = shop.sell(shop.cashier(), {**wanted, "order_id": str(uuid4())})
    assert (other.status_code, other.json()["code"]) == (409, "payment_key_used")


def test_a_refund_is_given_once_and_never_more_than_was_paid(shop: Instance) -> None:
    order_id = shop.sell(shop.cashier(), order("coffee", payment=card())).json()["sale"]["order_id"]
    key = uuid4().hex
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: refund(shop, order_id, key, 100), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert refund(shop, order_id, key, 200).json()["code"] == "refund_key_used"
    assert refund(shop, order_id, uuid4().hex, 600).json()["code"] == "refund_too_large"
    assert refund(shop, order_id, uuid4().hex).json()["amount_cents"] == 599
    assert refund(shop, order_id, uuid4().hex).json()["code"] == "refund_too_large"
    [payment] = shop.client.get(f"/api/sales/{order_id}", headers=shop.cashier()).json()["payments"]
    assert payment["refunded_cents"] == payment["amount_cents"] == 699
    assert refund(shop, str(uuid4()), uuid4().hex).json()["code"] == "no_such_sale"


def born(years: int, days_from_birthday: int = 0) -> dict[str, str]:
    today = date.today()
    # A birthday that every year has.
    birthday = today.replace(year=today.year - years, day=min(today.day, 28))
    return {"kind": "id_card", "birth_date": birthday.replace(day=birthday.day + days_from_birthday).isoformat()}


@pytest.mark.parametrize(
    ("proof", "code"),
    [(None, "age_proof_required"), (born(17), "under_age"), (born(20), "under_age"), (born(-1), "under_age")],
)
def test_restricted_goods_are_refused_and_the_refusal_is_recorded(shop: Instance, proof: object, code: str) -> None:
    clerk, wanted = shop.cashier(), order("milk", "gin", age_proof=proof)
    refused = shop.sell(clerk, wanted)
    assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert shop.client.get(f"/api/sales/{wanted['order_id']}", headers=clerk).status_code == 404
    [record] = [
        refusal
        for refusal in shop.client.get("/api/age-refusals", headers=clerk).json()["refusals"]
        if refusal["order_id"] == wanted["order_id"]
    ]
    assert (record["reason"], record["skus"], record["cashier"]) == (code, ["gin"], "bob")
    # The same order goes through once somebody of age shows a document.
    assert shop.sell(clerk, {**wanted, "age_proof": born(21)}).status_code == 201


def test_the_birth_date_is_not_kept(shop: Instance) -> None:
    shop.sell(shop.cashier(), order("gin", age_proof={"kind": "passport", "birth_date": "1931-07-23"}))
    assert "1931-07-23" not in shop.log.read_text()
    columns = shop.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'sales'")
    assert ("birth_date",) not in columns
