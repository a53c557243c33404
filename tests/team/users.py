"""Users of a tiny application, who never stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.e2e.sites import Site


@contextmanager
def shopping(site: Site) -> Iterator[list[int]]:
    """Four of them; the statuses they got, 0 where nobody answered."""
    answers: list[int] = []
    over = threading.Event()

    def user() -> None:
        with httpx.Client(base_url=site.url, timeout=20, trust_env=False) as client:
            while not over.wait(0.005):
                try:
                    answers.append(client.get("/orders").status_code)
                except httpx.HTTPError:  # while one release takes the other's place
                    answers.append(0)

    users = [threading.Thread(target=user) for _ in range(4)]
    for one in users:
        one.start()
    try:
        yield answers
    finally:
        over.set()
        for one in users:
            one.join()
