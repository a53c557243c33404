"""Switches under load: customers who keep their connections and never retry lose nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx

from gate.shell import wait_until
from tests.engine.site import Site, site

CLIENTS = 6
CYCLES = 5


class Customers:
    """Clients that post orders, each on one connection, without retries; they know what was acknowledged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._closed = threading.Event()
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._shop, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Customers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _shop(self, number: int) -> None:
        order = 0
        with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as client:
            while not self._closed.is_set():
                order += 1
                name = f"{number}-{order}"
                try:
                    status = client.post("/orders", content=name).status_code
                except httpx.HTTPError as fault:
                    self.failures.append(f"{name}: {type(fault).__name__}")
                    continue
                if status == 200:
                    self.acknowledged.append(name)
                else:
                    self.failures.append(f"{name}: {status}")


def deploy(here: Site, version: str, name: str) -> None:
    old = here.engine.stable()
    candidate = here.start(here.release(version), name)
    assert here.probe(candidate).json()["version"] == version
    here.engine.promote(candidate, 0.5)
    here.engine.promote(candidate)
    assert old is not None
    assert here.engine.drain(old, 10).complete
    assert not here.engine.stop(old)[0].killed


def test_no_request_fails_and_no_order_is_lost_over_five_switches() -> None:
    with site() as here:
        here.serve("1.0.0", "r1")
        with Customers(here.environment.app.url) as customers:
            for cycle in range(2, CYCLES + 2):
                seen = len(customers.acknowledged)
                deploy(here, f"1.{cycle}.0", f"r{cycle}")
                assert wait_until(lambda seen=seen: len(customers.acknowledged) > seen + CLIENTS, timeout=10)  # type: ignore[misc]
        assert customers.failures == []
        assert len(customers.acknowledged) > CYCLES * CLIENTS
        kept = set(Path(here.environment.state_folder / "orders").read_text().split())
        assert set(customers.acknowledged) <= kept
