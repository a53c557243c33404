"""Switches under load: customers who keep their connections and never retry lose nothing, sticky or not."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from gate.machine.shell import wait_until
from tests.engine.site import Site, site, sticky_site

CLIENTS = 6
CYCLES = 5


class Customers:
    """Clients that post orders, each on one connection with its cookies, without retries.

    They know what was acknowledged, and by which versions in turn each of them was served.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._closed = threading.Event()
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self.served_by: list[list[str]] = [[] for _ in range(CLIENTS)]
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
                    answer = client.post("/orders", content=name)
                except httpx.HTTPError as fault:
                    self.failures.append(f"{name}: {type(fault).__name__}")
                    continue
                if answer.status_code != 200:
                    self.failures.append(f"{name}: {answer.status_code}")
                    continue
                self.acknowledged.append(name)
                version, seen = answer.json()["version"], self.served_by[number]
                if seen[-1:] != [version]:
                    seen.append(version)


def deploy(here: Site, version: str, name: str) -> None:
    old = here.engine.stable()
    candidate = here.start(here.release(version), name)
    assert here.probe(candidate).json()["version"] == version
    for share in (0.1, 0.5, 1.0):
        here.engine.promote(candidate, share)
    assert old is not None
    assert here.engine.drain(old, 10).complete
    assert not here.engine.stop(old)[0].killed


@pytest.mark.parametrize("sticky", [False, True])
def test_no_request_fails_and_no_order_is_lost_over_five_switches(sticky: bool) -> None:
    with sticky_site() if sticky else site() as here:
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
        if sticky:
            assert all(seen == sorted(set(seen)) for seen in customers.served_by), "somebody went back"
