"""Customers of the shop: keep-alive clients that post orders without a break and never retry.

A request that fails is a failed request; an order that was acknowledged and is not in the table is a lost order.
Used by the demo, by the end-to-end tests and by the benchmarks.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import psycopg

CASHIER = {"cashier": "alice", "pin": "2468"}
SKU = "apple"


@dataclass
class Tally:
    """What the customers saw: requests attempted and failed, orders acknowledged, and by which release.

    ``failed_by`` counts failures by the release that answered so, under "" those that no release did; ``unanswered``:
    the seconds that each of those had waited.
    """

    attempted: int = 0
    failures: list[str] = field(default_factory=list)
    failed_by: dict[str, int] = field(default_factory=dict)
    unanswered: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    releases: dict[str, int] = field(default_factory=dict)
    last_answer: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    longest_gap: float = 0.0

    def lost(self, database: str) -> list[str]:
        """Acknowledged orders that the table of sales does not hold."""
        with psycopg.connect(database, connect_timeout=5) as connection:
            query = "SELECT order_id::text FROM sales WHERE order_id = ANY (%s::uuid[])"
            stored = {row[0] for row in connection.execute(query, [self.acknowledged])}
        return [order for order in self.acknowledged if order not in stored]


class Customers:
    """``count`` customers with ``pause`` seconds between an answer and the next.

    Each has a connection and cookies of its own, as browsers do: a sticky canary keeps each where it is.
    """

    def __init__(self, url: str, *, count: int = 6, pause: float = 0.02, timeout: float = 15.0) -> None:
        self._url = url
        self._count = count
        self._pause = pause
        self._timeout = timeout
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self.tally = Tally()

    @contextmanager
    def shopping(self) -> Iterator[Tally]:
        """Shops in the background for a block. Raises httpx.HTTPError when the shop cannot even be entered."""
        token = self._enter()
        threads = [
            threading.Thread(target=self._shop, args=(token,), name=f"customer-{number}", daemon=True)
            for number in range(self._count)
        ]
        self._last = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            yield self.tally
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(timeout=self._timeout + 5)

    def _enter(self) -> str:
        """Signs in and has the shelf filled; returns the session's token."""
        with httpx.Client(base_url=self._url, timeout=self._timeout, trust_env=False) as client:
            answer = client.post("/api/session", json={"terminal": "till-1", **CASHIER}).raise_for_status()
            token: str = answer.json()["token"]
            client.post(
                "/api/inventory/receive",
                json={"sku": SKU, "quantity": 1_000_000},
                headers={"Authorization": f"Bearer {token}"},
            ).raise_for_status()
        return token

    def _shop(self, token: str) -> None:
        with httpx.Client(
            base_url=self._url,
            timeout=self._timeout,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            transport=httpx.HTTPTransport(retries=0),
        ) as client:
            while not self._ended.wait(self._pause):
                self._order(client)

    def _order(self, client: httpx.Client) -> None:
        order = str(uuid.uuid4())
        body = {
            "order_id": order,
            "lines": [{"sku": SKU, "quantity": 1}],
            "payment": {"method": "cash", "idempotency_key": f"pay-{order}"},
        }
        began = time.monotonic()
        try:
            answer = client.post("/api/sales", json=body)
        except httpx.HTTPError as fault:
            self._note(began, failure=f"{type(fault).__name__}: {fault}")
            return
        release = answer.headers.get("X-Release", "")
        if answer.status_code == 201 and answer.json()["sale"]["order_id"] == order:
            self._note(began, order=order, release=release)
        else:
            self._note(began, failure=f"{answer.status_code} from {release or 'the proxy'}", release=release)

    def _note(self, began: float, *, order: str = "", failure: str = "", release: str = "") -> None:
        now = time.monotonic()
        with self._lock:
            self.tally.attempted += 1
            self.tally.seconds.append(now - began)
            if failure:
                self.tally.failures.append(failure)
                if not release:
                    self.tally.unanswered.append(now - began)
                self.tally.failed_by[release] = self.tally.failed_by.get(release, 0) + 1
            else:
                self.tally.acknowledged.append(order)
                self.tally.longest_gap = max(self.tally.longest_gap, now - self._last)
                self._last = now
            if release:
                self.tally.releases[release] = self.tally.releases.get(release, 0) + 1
                self.tally.last_answer[release] = now
