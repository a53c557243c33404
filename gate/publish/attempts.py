"""Asking a server until it answers: what may pass is tried again, after as long as the server says, within a time.

The time holds whatever the server does. It may name an address for ever, take a byte a second or send one: nobody waits
for it any longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, TypeVar

import requests
import tenacity
import urllib3.exceptions
from requests.utils import parse_header_links

from gate.errors import OperationFailed
from gate.machine import deadline

T = TypeVar("T")

MOST = 8
"""Attempts at one thing."""
QUESTION = 20.0
"""Seconds for a request that carries no file, from the look-up of its host to the last byte of its answer."""
LARGEST = 8_000_000
"""Bytes of an answer: more is none that anybody asked for."""
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_LIMITED = {403, 429}
"""Statuses that may mean "later": with ``Retry-After``, or with a rate limit that is used up."""
_PATIENCE = (10.0, 60.0)
_CHUNK = 65_536


class Again(Exception):  # noqa: N818 - an order, not an accident
    """It may work later: after ``seconds``, where the server said so; or else after ``next_step``."""

    def __init__(self, why: str, seconds: float | None = None, *, next_step: str = "try it again later") -> None:
        super().__init__(why)
        self.seconds = seconds
        self.next_step = next_step


@dataclass(frozen=True)
class Answer:
    """What a server answered; ``body`` is empty where nobody wanted to read it."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def following(self) -> str | None:
        """Of a list, the address where it goes on."""
        return next(
            (link["url"] for link in parse_header_links(self.headers.get("Link", "")) if link.get("rel") == "next"),
            None,
        )


class Client:
    """Sends requests to one server. ``within``: seconds for all that is done ``patiently``, from the first of it.

    ``question``: seconds for one request that carries no file; ``patience``: to connect, and to wait for the next byte;
    ``pause`` waits between two attempts.
    """

    def __init__(
        self,
        within: float,
        *,
        question: float = QUESTION,
        patience: tuple[float, float] = _PATIENCE,
        pause: Callable[[float], None] = tenacity.nap.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._within = within
        self._question = question
        self._patience = patience
        self._pause = pause
        self._clock = clock
        self._began: float | None = None
        self._session = requests.Session()
        self._session.auth = lambda request: request  # a .netrc of this machine would stand in for the token
        self._session.headers["Accept-Encoding"] = "identity"  # a small answer shall not become a large one

    def send(self, method: str, url: str, *, file: BinaryIO | None = None, read: bool = True, **options: Any) -> Answer:
        """One request, with a ``file`` as its body or what ``options`` say; ``read``: whether its body is wanted.

        A redirect is followed by what changes nothing. Raises Again for what may pass, OperationFailed for what cannot
        be sent.
        """
        left = self._left()
        seconds = left if file is not None else min(self._question, left)
        if seconds <= 0:
            raise Again("no time is left")
        if file is not None:
            options["data"] = file
        options["timeout"] = tuple(min(wait, seconds) for wait in self._patience)
        given_up = threading.Event()

        def asking() -> Answer:
            with self._session.request(method, url, stream=True, allow_redirects=method == "GET", **options) as got:
                body = _body(got, given_up) if read else b""
                return Answer(got.status_code, got.reason or "", got.headers, body)

        try:
            answer = deadline.within(seconds, f"waiting for {method}", asking)
        except deadline.TooLate:
            raise Again(f"no whole answer within {seconds:.3g} s") from None
        except (UnicodeError, requests.exceptions.InvalidHeader):
            raise OperationFailed(
                "a header, sent or received, holds letters that headers cannot hold",
                next_step="see that the token is written as it was given: in one line, without quotes",
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as fault:
            raise Again(f"no answer: {type(fault).__name__}") from None
        finally:
            given_up.set()
        asked = self._asked_to_wait(answer.headers)
        if answer.status in _PASSING or (answer.status in _LIMITED and asked is not None):
            raise Again(f"status {answer.status}", asked)
        return answer

    def patiently(self, what: str, act: Callable[[], T]) -> T:
        """What ``act`` returns, once it does not raise Again any more. Raises OperationFailed when time is up."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Again),
            stop=lambda state: state.attempt_number >= MOST or state.upcoming_sleep >= self._left(),
            wait=_wait,
            sleep=self._pause,
            reraise=True,
        )
        try:
            return attempts(act)
        except Again as fault:
            asked = f"; the server asks to wait {fault.seconds:.0f} s" if fault.seconds else ""
            many = attempts.statistics.get("attempt_number", 1)
            raise OperationFailed(f"{what}: {fault}, {many} times{asked}", next_step=fault.next_step) from None

    def _left(self) -> float:
        """Seconds until nobody waits any more; the first who asks begins them."""
        if self._began is None:
            self._began = time.monotonic()
        return self._began + self._within - time.monotonic()

    def _asked_to_wait(self, headers: Mapping[str, str]) -> float | None:
        """Seconds until the server wants to be asked again; None where it does not say."""
        told = headers.get("Retry-After", "").strip()
        if told.isdecimal():
            return float(told)
        if told:
            try:
                return max(0.0, (parsedate_to_datetime(told) - self._clock()).total_seconds())
            except (ValueError, TypeError):
                return None
        reset = headers.get("X-RateLimit-Reset", "")
        if headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
            return max(0.0, float(reset) - self._clock().timestamp())
        return None


def _body(answer: requests.Response, given_up: threading.Event) -> bytes:
    """All of it, as it comes. Raises Again where it is longer than any answer."""
    found = bytearray()
    while chunk := answer.raw.read1(_CHUNK):
        found += chunk
        if given_up.is_set() or len(found) > LARGEST:
            raise Again(f"an answer of more than {len(found)} bytes")
    return bytes(found)


_BACK_OFF = tenacity.wait_random_exponential(multiplier=0.5, max=15)


def _wait(state: tenacity.RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome is not None else None
    if isinstance(fault, Again) and fault.seconds is not None:
        return fault.seconds
    return _BACK_OFF(state)
