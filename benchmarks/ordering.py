"""Users of the tests' tiny application: keep-alive clients that order without a break and never retry."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

_TIMEOUT = 15.0


@dataclass(frozen=True)
class Answer:
    """What one request got: the release that answered, "" if none did, and whether that was what the user wanted.

    ``began`` and ``ended`` are seconds of the clock of ``time.time``.
    """

    began: float
    ended: float
    release: str
    good: bool


class Users:
    """``count`` of them, each on a connection of its own, ``pause`` seconds between an answer and the next order."""

    def __init__(self, url: str, *, count: int, pause: float = 0.02) -> None:
        self._url = url
        self._count = count
        self._pause = pause
        self._over = threading.Event()
        self.answers: list[Answer] = []

    @contextmanager
    def ordering(self) -> Iterator[list[Answer]]:
        """They order in the background while the block runs; all that they were answered."""
        threads = [threading.Thread(target=self._order, daemon=True) for _ in range(self._count)]
        for thread in threads:
            thread.start()
        try:
            yield self.answers
        finally:
            self._over.set()
            for thread in threads:
                thread.join(timeout=_TIMEOUT + 5)

    def go_on(self, seconds: float) -> None:
        """Lets them order for so long."""
        self._over.wait(seconds)

    def _order(self) -> None:
        transport = httpx.HTTPTransport(retries=0)
        with httpx.Client(base_url=self._url, timeout=_TIMEOUT, trust_env=False, transport=transport) as client:
            while not self._over.wait(self._pause):
                began = time.time()
                try:
                    answer = client.post("/orders", json={"order": str(uuid.uuid4())})
                except httpx.HTTPError:
                    self.answers.append(Answer(began, time.time(), "", good=False))
                else:
                    release = released(answer)
                    good = answer.status_code == 200 and release != ""
                    self.answers.append(Answer(began, time.time(), release, good))


def released(answer: httpx.Response) -> str:
    """The release that gave an answer, "" when it was the proxy."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    return str(body.get("version", "")) if isinstance(body, dict) else ""


def counted(answers: Sequence[Answer]) -> dict[str, Any]:
    """How many requests there were, how many failed with and without a release's answer, and the longest one."""
    failed = [answer for answer in answers if not answer.good]
    return {
        "requests": len(answers),
        "failed": len(failed),
        "unanswered": len([answer for answer in failed if not answer.release]),
        "longest_ms": round(max((answer.ended - answer.began for answer in answers), default=0) * 1000),
    }


def moved_at(answers: Sequence[Answer], leaving: str, coming: str) -> float | None:
    """When users were on the release that comes, all of them: after the last answer of the one that leaves."""
    left = max((answer.ended for answer in answers if answer.release == leaving), default=0.0)
    return min((a.ended for a in answers if a.release == coming and a.good and a.ended > left), default=None)


@dataclass(frozen=True)
class Errors:
    """When a bad release gave its first and its last bad answer, and when the last request of all failed."""

    first: float
    last: float
    over: float


def errors_of(answers: Sequence[Answer], release: str) -> Errors | None:
    """What users had of a release that is bad; None if they never met it."""
    bad = [answer.ended for answer in answers if answer.release == release and not answer.good]
    if not bad:
        return None
    return Errors(min(bad), max(bad), max(answer.ended for answer in answers if not answer.good))
