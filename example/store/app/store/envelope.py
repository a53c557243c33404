"""What goes around every answer: identity and security headers, a request id, and the count of requests in flight."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import logs
from .release import IDENTITY

logger = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# Questions about the service itself: not counted, or asking "is anyone being served?" would never hear no.
NOT_COUNTED = frozenset({"/health", "/ready", "/version"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Traffic:
    """Requests being served now and served since the start."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.total = 0

    @contextmanager
    def count(self, path: str) -> Iterator[None]:
        if path in NOT_COUNTED:
            yield
            return
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.total += 1


class Envelope:
    """The outermost layer, so that a 404 and a 500 carry the headers as well."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic
        self._headers = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
        self._headers.append((b"x-release", IDENTITY.version.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        logs.request_id.set(request_id.decode())

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers, (b"x-request-id", request_id)]
            await send(message)

        with self._traffic.count(scope["path"]):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception:
                # The 500 is already answered. Raised further, it would cost the client its connection.
                logger.exception("request failed", extra={"method": scope["method"], "path": scope["path"]})


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return uuid.uuid4().hex.encode()
