"""Checkout, sessions and carts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from uuid import uuid4

import pytest

from tests.store.running import TRAINING_CODE, Instance, Start, cash, order


def test_from_sign_in_to_receipt(shop: Instance) -> None:
    clerk = shop.cashier()
    assert shop.client.get("/api/session", headers=clerk).json()["cashier"] == "bob"
    cart = shop.client.post("/api/carts", headers=clerk).json()
    lines = {"lines": [{"sku": "milk", "quantity": 2}, {"sku": "apple", "quantity": 1}, {"sku": "milk", "quantity": 1}]}
    filled = shop.client.put(f"/api/carts/{cart['id']}/lines", headers=clerk, json=lines).json()
    assert (filled["total_cents"], filled["needs_age_proof"]) == (3 * 129 + 60, False)
    assert shop.client.get(f"/api/carts/{cart['id']}", headers=clerk).json() == filled

    wanted = {"order_id": str(uuid4()), "cart_id": cart["id"], "payment": cash(tendered_cents=500)}
    sold = shop.sell(clerk, wanted)
    assert sold.status_code == 201, sold.text
    receipt = sold.json()["receipt"]
    assert (receipt["total_cents"], receipt["change_cents"], receipt["terminal"]) == (447, 53, "till-1")
    assert [(line["sku"], line["quantity"]) for line in receipt["lines"]] == [("apple", 1), ("milk", 3)]
    assert shop.client.get(f"/api/sales/{wanted['order_id']}", headers=clerk).json() == sold.json()["sale"]
    assert shop.client.get(f"/api/sales/{wanted['order_id']}/receipt", headers=clerk).json() == receipt

    again = shop.sell(clerk, wanted)
    assert (again.status_code, again.json()) == (201, sold.json())
    other = shop.sell(clerk, {**wanted, "order_id": str(uuid4())})
    assert (other.status_code, other.json()["code"]) == (404, "no_such_cart")


def test_a_note_is_on_the_receipt(shop: Instance) -> None:
    sold = shop.sell(shop.cashier(), order(note="Happy birthday")).json()
    assert sold["receipt"]["note"] == sold["sale"]["note"] == "Happy birthday"


def test_one_order_at_once_from_many_is_sold_once(shop: Instance) -> None:
    clerk, wanted = shop.cashier(), order("soap")
    before = shop.stock(clerk, "soap")
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: shop.sell(clerk, wanted), range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replay") for answer in answers].count(None) == 1
    assert shop.stock(clerk, "soap") == before - 1


@pytest.mark.parametrize("other", [{"lines": [{"sku": "milk", "quantity": 2}]}, {"payment": cash()}, {"note": "other"}])
def test_another_order_under_a_known_id_is_refused(shop: Instance, other: dict[str, object]) -> None:
    wanted = order()
    assert shop.sell(shop.cashier(), wanted).status_code == 201
    answer = shop.sell(shop.cashier(), {**wanted, **other})
    assert (answer.status_code, answer.json()["code"]) == (409, "order_conflict")


def test_an_order_of_the_earlier_release_is_known_again(start: Start) -> None:
    wanted = order()
    with start("1.1.0") as new, start("1.0.0", new.environment["DATABASE_URL"]) as old:
        assert old.client.get("/ready").status_code == 200
        assert old.sell(old.cashier(), wanted).status_code == 201
        again = new.sell(new.cashier(), wanted)
        assert (again.status_code, again.headers["Idempotent-Replay"]) == (201, "true")
        # And a session opened on the one is good on the other.
        assert new.client.get("/api/session", headers=old.cashier()).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        (order("no-such-thing"), 404, "no_such_item"),
        (order(lines=[]), 422, "invalid_request"),
        (order(lines=[{"sku": "milk", "quantity": 0}]), 422, "invalid_request"),
        (order(cart_id="and-lines"), 422, "invalid_request"),
        (order(lines=None, cart_id="gone"), 404, "no_such_cart"),
        (order(payment=cash(tendered_cents=1)), 402, "not_enough_cash"),
        (order(order_id="not-an-id"), 422, "invalid_request"),
    ],
)
def test_a_bad_order_changes_nothing(shop: Instance, wanted: dict[str, object], status: int, code: str) -> None:
    clerk = shop.cashier()
    before = shop.stock(clerk, "milk")
    answer = shop.sell(clerk, wanted)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert shop.stock(clerk, "milk") == before
    assert shop.client.get(f"/api/sales/{uuid4()}", headers=clerk).status_code == 404


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer x.y", "Bearer x", "Basic YWxpY2U6MjQ2OA=="])
def test_without_a_session_nothing_is_sold(shop: Instance, token: str) -> None:
    answer = shop.sell({"Authorization": token}, order())
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_a_session_ends(shop: Instance) -> None:
    who = {"terminal": "till-2", "cashier": "bob", "pin": "1357"}
    headers = {"Authorization": f"Bearer {shop.client.post('/api/session', json=who).json()['token']}"}
    assert shop.client.delete("/api/session", headers=headers).status_code == 204
    assert shop.client.get("/api/session", headers=headers).status_code == 401


def test_wrong_pins_are_refused_and_counted(shop: Instance) -> None:
    who = {"terminal": "till-3", "cashier": "bob", "pin": "0000"}
    answers = [shop.client.post("/api/session", json=who).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]
    # Only there: bob may still sign in elsewhere.
    assert shop.client.post("/api/session", json={**who, "terminal": "till-4", "pin": "1357"}).status_code == 201
    stranger = {"terminal": "till-4", "cashier": "mallory", "pin": TRAINING_CODE}
    assert shop.client.post("/api/session", json=stranger).status_code == 401


def test_a_manager_gives_a_new_pin(start: Start) -> None:
    shop: AbstractContextManager[Instance] = start("1.1.0")
    with shop as instance:
        change = ("/api/cashiers/bob/pin", {"pin": "97531"})
        assert instance.client.put(change[0], json=change[1], headers=instance.cashier()).status_code == 403
        assert instance.client.put(change[0], json=change[1], headers=instance.manager()).status_code == 204
        who = {"terminal": "till-1", "cashier": "bob"}
        assert instance.client.post("/api/session", json={**who, "pin": "1357"}).status_code == 401
        assert instance.client.post("/api/session", json={**who, "pin": "97531"}).status_code == 201
        smoke = instance.client.put("/api/cashiers/smoke/pin", json=change[1], headers=instance.manager())
        assert smoke.status_code == 404
