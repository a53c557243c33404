"""Asking a server until it answers: what may pass is tried again, after as long as the server says, within a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests
import tenacity

from gate.errors import OperationFailed

T = TypeVar("T")

MOST = 8
"""Attempts at one thing."""
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_LIMITED = {403, 429}
"""Statuses that may mean "later": with ``Retry-After``, or with a rate limit that is used up."""
_PATIENCE = (10.0, 60.0)


class Again(Exception):  # noqa: N818 - an order, not an accident
    """It may work later: after ``seconds``, where the server said so."""

    def __init__(self, why: str, seconds: float | None = None) -> None:
        super().__init__(why)
        self.seconds = seconds


class Client:
    """Sends requests to one server. ``within`` is the time for one ``patiently``, in seconds; ``pause`` waits.

    ``patience``: seconds to connect, and to wait for the next byte.
    """

    def __init__(
        self,
        within: float,
        *,
        headers: Mapping[str, str] | None = None,
        patience: tuple[float, float] = _PATIENCE,
        pause: Callable[[float], None] = tenacity.nap.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._within = within
        self._patience = patience
        self._pause = pause
        self._clock = clock
        self._session = requests.Session()
        self._session.auth = lambda request: request  # a .netrc of this machine would stand in for the token
        self._session.headers.update(headers or {})

    def send(self, method: str, url: str, **options: object) -> requests.Response:
        """One request; a redirect is followed by what changes nothing. Raises Again for what may pass."""
        try:
            answer = self._session.request(
                method,
                url,
                timeout=self._patience,
                allow_redirects=method == "GET",
                **options,  # type: ignore[arg-type]
            )
        except requests.RequestException as fault:
            raise Again(f"no answer: {type(fault).__name__}") from None
        asked = self._asked_to_wait(answer)
        if answer.status_code in _PASSING or (answer.status_code in _LIMITED and asked is not None):
            raise Again(f"status {answer.status_code}", asked)
        return answer

    def patiently(self, what: str, act: Callable[[], T]) -> T:
        """What ``act`` returns, once it does not raise Again any more. Raises OperationFailed when time is up."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Again),
            stop=tenacity.stop_after_attempt(MOST) | tenacity.stop_before_delay(self._within),
            wait=_wait,
            sleep=self._pause,
            reraise=True,
        )
        try:
            return attempts(act)
        except Again as fault:
            asked = f"; the server asks to wait {fault.seconds:.0f} s" if fault.seconds else ""
            many = attempts.statistics.get("attempt_number", 1)
            raise OperationFailed(f"{what}: {fault}, {many} times{asked}", next_step="try it again later") from None

    def _asked_to_wait(self, answer: requests.Response) -> float | None:
        """Seconds until the server wants to be asked again; None where it does not say."""
        told = answer.headers.get("Retry-After", "").strip()
        if told.isdecimal():
            return float(told)
        if told:
            try:
                return max(0.0, (parsedate_to_datetime(told) - self._clock()).total_seconds())
            except (ValueError, TypeError):
                return None
        reset = answer.headers.get("X-RateLimit-Reset", "")
        if answer.headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
            return max(0.0, float(reset) - self._clock().timestamp())
        return None


_BACK_OFF = tenacity.wait_random_exponential(multiplier=0.5, max=15)


def _wait(state: tenacity.RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome is not None else None
    if isinstance(fault, Again) and fault.seconds is not None:
        return fault.seconds
    return _BACK_OFF(state)
