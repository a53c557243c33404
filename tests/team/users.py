"""Users of a tiny application, who never stop and never ask twice."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from gate.machine.shell import wait_until
from tests.e2e.sites import Site


@contextmanager
def shopping(site: Site, users: int = 4, every: float = 0.005) -> Iterator[list[int]]:
    """Some of them, who wait ``every`` seconds after an answer; the statuses they got, 0 where nobody answered."""
    answers: list[int] = []
    over = threading.Event()

    def user() -> None:
        with httpx.Client(base_url=site.url, timeout=20, trust_env=False) as client:
            while not over.wait(every):
                try:
                    answers.append(client.get("/orders").status_code)
                except httpx.HTTPError:  # while one release takes the other's place
                    answers.append(0)

    threads = [threading.Thread(target=user) for _ in range(users)]
    for one in threads:
        one.start()
    try:
        yield answers
    finally:
        over.set()
        for one in threads:
            one.join()


@dataclass
class Bill:
    """What those saw who order: statuses, 0 where nobody answered, and the orders that were acknowledged."""

    answers: list[int] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)


@contextmanager
def ordering(site: Site, users: int = 4, every: float = 0.08, *, arriving: bool = False) -> Iterator[Bill]:
    """Some who order, again and again, ``every`` seconds after an answer; each order has a name of its own.

    ``arriving``: they come once the front door answers.
    """
    bill, over = Bill(), threading.Event()
    opened = threading.Event()

    def doorman() -> None:
        wait_until(lambda: over.is_set() or site.serving() is not None, timeout=600, every=0.1)
        opened.set()

    def user() -> None:
        if arriving:
            opened.wait()
        with httpx.Client(base_url=site.url, timeout=40, trust_env=False) as client:
            while not over.wait(every):
                order = uuid.uuid4().hex
                try:
                    status = client.post("/orders", content=order).status_code
                except httpx.HTTPError:
                    status = 0
                bill.answers.append(status)
                if status in (200, 201):
                    bill.acknowledged.append(order)

    threads = [threading.Thread(target=user) for _ in range(users)]
    threads += [threading.Thread(target=doorman)] if arriving else []
    for one in threads:
        one.start()
    try:
        yield bill
    finally:
        over.set()
        for one in threads:
            one.join()
