"""The store that the recipes deploy, in small, as ``app:app``; the file ``fault`` beside it says what is wrong with it.

An order that is posted is kept at the address in ``book`` before it is acknowledged. "a test" is no user's.
"""

import asyncio
import http.client
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

FAULT, BOOK = Path("fault").read_text(), Path("book").read_text()
if FAULT == "crashes":
    sys.exit(3)


def kept(order: bytes) -> bool:
    book = http.client.HTTPConnection(BOOK, timeout=30)
    try:
        book.request("PUT", "/", order)
        return book.getresponse().status == 204
    finally:
        book.close()


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        raise NotImplementedError  # it has nothing to do when it starts and ends
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    status = 200
    if scope["method"] == "POST":
        if FAULT == "slow" and body != b"a test":
            await asyncio.sleep(2)
        if FAULT == "logs-errors" and body != b"a test":
            print("ERROR: an order was odd", flush=True)
        status = 201 if await asyncio.to_thread(kept, body) else 503
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"version": os.environ["VERSION"]}).encode()})
