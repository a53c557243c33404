"""The tiny application of the engine's tests; the file ``fault`` beside it says in which way it is wrong."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

FAULT = Path("fault").read_text()
if FAULT == "crash":
    sys.exit(3)

ORDERS_TILL_BAD = 100
"""Of ``turns-bad``: from the next one on it answers errors, and says that it is not ready."""

Send = Callable[[dict[str, Any]], Awaitable[None]]
in_flight = ordered = 0


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"].startswith("/stream/"):
        await stream(float(scope["path"].removeprefix("/stream/")), send)
        return
    global in_flight  # noqa: PLW0603
    counted = scope["path"] not in {"/health", "/ready", "/version"}
    in_flight += counted
    try:
        status, answer = await route(scope, body)
        headers = [(b"content-type", b"application/json")]
        if scope["path"] == "/sign-in":
            headers += [(b"set-cookie", b"session=s1; Path=/; HttpOnly"), (b"set-cookie", b"theme=dark; Path=/")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
    finally:
        in_flight -= counted


async def stream(seconds: float, send: Send) -> None:
    """One line with the version every tenth of a second."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(round(seconds * 10)):
        await send({"type": "http.response.body", "body": f"{os.environ['VERSION']}\n".encode(), "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b"end\n"})


async def route(scope: dict[str, Any], body: bytes) -> tuple[int, dict[str, Any]]:
    global ordered  # noqa: PLW0603
    path = scope["path"]
    ordered += path == "/orders"
    bad = FAULT == "turns-bad" and ordered > ORDERS_TILL_BAD
    version = {"version": os.environ["VERSION"]}
    if path == "/health":
        return 200, {"in_flight": in_flight}
    if path == "/ready":
        return (503 if bad or FAULT == "unready" else 200), version
    if path.startswith("/slow/"):
        await asyncio.sleep(float(path.removeprefix("/slow/")))
    if path == "/orders" and bad:
        return 500, version
    if path == "/orders":
        with Path(os.environ["ORDERS"]).open("ab") as orders:
            orders.write(body + b"\n")
        if FAULT == "dies-after-writing":
            os._exit(1)
    if path == "/environment":
        return 200, dict(os.environ)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    return 200, {**version, "path": path, "headers": headers, "bytes": len(body)}


async def lifespan(receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup" and FAULT == "ignores-sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
