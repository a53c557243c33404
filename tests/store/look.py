"""A look at the running shop: which of its aspects are wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg

from example.store import build
from gate.machine.shell import wait_until
from tests.store.running import Instance, order, settings_for

SALES = 5


def settings_with_backup(database: str, cache_url: str, folder: Path) -> dict[str, str]:
    """Settings of a shop that is not missing anything."""
    status = '{"id": "b-1", "finished_at": "2026-11-24T02:00:00Z", "bytes": 1234, "verified": true}'
    (folder / "backup.json").write_text(status)
    return settings_for(database, cache_url, folder)


class Look:
    """Looks at one instance, in training mode or (``real``) as a manager, and collects what is wrong."""

    def __init__(self, shop: Instance, version: str, *, real: bool = False) -> None:
        self.shop = shop
        self.version = version
        self.who = ("alice", "2468") if real else ("smoke", shop.environment["STORE_TRAINING_CODE"])
        self.faults: set[str] = set()
        self.headers: dict[str, str] = {}

    def expect(self, aspect: str, right: bool) -> None:
        if not right:
            self.faults.add(aspect)

    def get(self, path: str) -> Any:
        return self.shop.client.get(path, headers=self.headers)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.shop.client.post(path, headers=self.headers, json=body)

    def all(self) -> set[str]:
        self.service()
        self.page()
        cashier, pin = self.who
        answer = self.post("/api/session", {"terminal": "till-1", "cashier": cashier, "pin": pin})
        self.expect("sign-in", answer.status_code == 201)
        if answer.status_code == 201:
            self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}
            self.checkout()
            if "slow" not in self.faults:  # which is told by one sale; more would only take time
                for flow in (self.cache, self.inventory, self.backup, self.age, self.payment, self.data):
                    flow()
        self.process()
        return self.faults

    def service(self) -> None:
        self.expect("health", self.get("/health").status_code == 200)
        self.expect("ready", self.get("/ready").status_code == 200)
        version = self.get("/version")
        self.expect("identity", version.json()["version"] == version.headers["X-Release"] == self.version)
        self.expect("headers", "content-security-policy" in version.headers)

    def page(self) -> None:
        assets = re.findall(r'(?:src|href)="(/[^"]+)"', self.get("/").text)
        self.expect("page", bool(assets) and all(self.get(asset).status_code == 200 for asset in assets))

    def cache(self) -> None:
        reads = [self.get("/api/items/pasta").headers["X-Cache"] for _ in range(2)]
        self.expect("cache", reads[1] == "hit")

    def inventory(self) -> None:
        before = self.get("/api/inventory/water").json()
        received = self.post("/api/inventory/receive", {"sku": "water", "quantity": 5})
        after = self.get("/api/inventory/water").json()
        self.expect("inventory", received.status_code == 201 and after["stock"] == before["stock"] + 5)

    def backup(self) -> None:
        self.expect("backup", self.get("/api/admin/backup").status_code == 200)

    def age(self) -> None:
        minor = {"kind": "id_card", "birth_date": f"{time.gmtime().tm_year - 17}-01-01"}
        refused = [self.post("/api/sales", order("gin", age_proof=proof)).status_code for proof in (None, minor)]
        self.expect("age", refused == [403, 403])

    def checkout(self) -> None:
        before = psutil.Process(self.shop.process.pid).memory_info().rss
        times, answers = [], []
        for _ in range(SALES):
            began = time.monotonic()
            answers.append(self.post("/api/sales", order("milk", "soap")))
            times.append(time.monotonic() - began)
            if times[0] > 2:
                self.faults.add("slow")
                break
        self.expect("checkout", all(answer.status_code == 201 for answer in answers))
        self.expect("receipt", answers[0].json()["receipt"].get("total_cents") == 228)
        grown = psutil.Process(self.shop.process.pid).memory_info().rss - before
        self.expect("memory", grown < SALES * 2**20)

    def payment(self) -> None:
        wanted = order("coffee")
        answers = [self.post("/api/sales", wanted) for _ in range(2)]
        self.expect("payment", all(len(answer.json()["sale"]["payments"]) == 1 for answer in answers))
        refund = {"idempotency_key": uuid4().hex, "amount_cents": 100}
        refunds = [self.post(f"/api/sales/{wanted['order_id']}/refund", refund) for _ in range(2)]
        self.expect("refund", refunds[0].json() == refunds[1].json())

    def data(self) -> None:
        rules = re.findall(r"-- name: \S+\n(.*?;)", (build.HERE / "invariants.sql").read_text(), re.DOTALL)
        with psycopg.connect(self.shop.environment["DATABASE_URL"]) as connection:
            broken = [rule for rule in rules if connection.execute(rule.encode()).fetchall()]
        self.expect("invariants", not broken)
        assert self.shop.client.delete("/api/training", headers=self.headers).status_code == 200

    def process(self) -> None:
        self.expect("logs", all(event["level"] == "INFO" for event in self.shop.events()))
        process = psutil.Process(self.shop.process.pid)
        used = sum(process.cpu_times()[:2])
        # Idle it needs next to nothing; this ends early when it is seen to work for nobody.
        busy = wait_until(lambda: sum(process.cpu_times()[:2]) - used > 0.05, timeout=0.3, every=0.02)
        self.expect("cpu", not busy)
