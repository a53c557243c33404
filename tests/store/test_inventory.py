"""Stock and its ledger, the cached catalogue, and the training shelf."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.store.running import Instance, Start, order


def test_every_movement_is_in_the_ledger(shop: Instance) -> None:
    boss = shop.manager()
    before = shop.stock(boss, "tea-black")
    assert shop.receive(boss, "tea-black", 12).json() == {"sku": "tea-black", "stock": before + 12}
    loss = {"sku": "tea-black", "change": -2, "reason": "broken"}
    assert shop.client.post("/api/inventory/adjust", headers=boss, json=loss).json()["stock"] == before + 10
    shop.sell(boss, order("tea-black"))
    ledger = shop.client.get("/api/inventory/tea-black", headers=boss, params={"limit": 3}).json()
    assert [(moved["kind"], moved["change"]) for moved in ledger["movements"]] == [
        ("sale", -1),
        ("adjust", -2),
        ("receive", 12),
    ]
    assert ledger["stock"] == ledger["ledger"] == before + 9


def test_stock_never_goes_below_zero(shop: Instance) -> None:
    boss = shop.manager()
    down_to_5 = {"sku": "newspaper", "change": 5 - shop.stock(boss, "newspaper"), "reason": "count"}
    assert shop.client.post("/api/inventory/adjust", headers=boss, json=down_to_5).json()["stock"] == 5
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: shop.sell(boss, order("newspaper")), range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 15
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"out_of_stock"}
    assert shop.stock(boss, "newspaper") == 0
    too_many = {"sku": "newspaper", "change": -1, "reason": "count"}
    assert shop.client.post("/api/inventory/adjust", headers=boss, json=too_many).json()["code"] == "out_of_stock"


def test_sales_of_the_same_items_never_deadlock(shop: Instance) -> None:
    clerk, skus = shop.cashier(), ["apple", "banana", "butter", "coffee"]
    with ThreadPoolExecutor(20) as threads:
        both_ways = [order(*skus), order(*reversed(skus))] * 15
        answers = list(threads.map(lambda wanted: shop.sell(clerk, wanted), both_ways))
    assert {answer.status_code for answer in answers} == {201}


def test_only_a_manager_adjusts(shop: Instance) -> None:
    change = {"sku": "milk", "change": 1, "reason": "found"}
    answer = shop.client.post("/api/inventory/adjust", headers=shop.cashier(), json=change)
    assert (answer.status_code, answer.json()["code"]) == (403, "manager_only")


def test_an_unknown_item_is_not_received(shop: Instance) -> None:
    assert shop.receive(shop.cashier(), "no-such-thing", 1).json()["code"] == "no_such_item"


def test_the_cache_answers_until_stock_moves(shop: Instance) -> None:
    clerk = shop.cashier()
    for path in ("/api/items/lighter", "/api/items"):
        shop.receive(clerk, "lighter", 1)
        reads = [shop.client.get(path, headers=clerk) for _ in range(2)]
        assert [read.headers["X-Cache"] for read in reads] == ["miss", "hit"]
        assert reads[0].json() == reads[1].json()
    shop.sell(clerk, order("lighter"))
    fresh = shop.client.get("/api/items/lighter", headers=clerk)
    assert (fresh.headers["X-Cache"], fresh.json()["stock"]) == ("miss", shop.stock(clerk, "lighter"))
    assert shop.client.get("/api/items/no-such-thing", headers=clerk).status_code == 404


def test_training_leaves_no_trace(start: Start) -> None:
    with start("1.1.0") as shop:
        trainee, boss = shop.training(), shop.manager()
        real = shop.sell(boss, order("milk")).json()["sale"]
        totals = shop.client.get("/api/reports/totals", headers=boss).json()
        assert totals == {"sales": 1, "sold_cents": 129, "refunded_cents": 0, "net_cents": 129}
        real_stock, shelf = shop.stock(boss, "milk"), shop.stock(trainee, "milk")

        practice = order("milk", "gin", age_proof={"kind": "passport", "birth_date": "1980-02-29"})
        sold = shop.sell(trainee, practice).json()["sale"]
        assert (sold["training"], real["training"]) == (True, False)
        shop.client.post(
            f"/api/sales/{sold['order_id']}/refund", headers=trainee, json={"idempotency_key": "practice-1"}
        )
        shop.receive(trainee, "milk", 3)
        shop.sell(trainee, order("gin"))
        # Neither kind of session sees the other's records.
        assert shop.client.get(f"/api/sales/{sold['order_id']}", headers=boss).status_code == 404
        assert shop.client.get(f"/api/sales/{real['order_id']}", headers=trainee).status_code == 404
        assert shop.client.get("/api/age-refusals", headers=boss).json() == {"refusals": []}
        assert shop.sell(boss, practice).json()["code"] == "order_conflict"

        assert shop.client.get("/api/reports/totals", headers=boss).json() == totals
        assert shop.stock(boss, "milk") == real_stock
        assert shop.client.delete("/api/training", headers=shop.cashier()).status_code == 403
        cleaned = shop.client.delete("/api/training", headers=trainee).json()
        assert cleaned == {"sales": 1, "payments": 1, "refunds": 1, "movements": 3, "age_refusals": 1}
        assert shop.stock(trainee, "milk") == shelf
        assert shop.query("SELECT order_id::text FROM sales") == [(real["order_id"],)]
        assert set(shop.client.delete("/api/training", headers=boss).json().values()) == {0}
