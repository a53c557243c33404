"""A small application that is right in every way but those that ``faults.txt`` beside it names.

It is copied into a folder and made a release there: see rig.py. Needs only uvicorn, no database and no cache.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn

HERE = Path(__file__).parent
RELEASE = json.loads((HERE / "release.json").read_text())
DOCUMENT = json.loads((HERE / "openapi.json").read_text())
FAULTS = (HERE / "faults.txt").read_text().split()

PAGE = (
    '<html><head><title>Tiny</title><link rel="stylesheet" href="style.css"><script src="/app.js"></script></head>'
    '<body><h1>Tiny</h1><img src="/dot.svg"></body></html>'
)
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}
JSON, HTML, SCRIPT = "application/json", "text/html; charset=utf-8", "text/javascript"

in_flight = 0
answers = 0
kept: list[bytes] = []


def answer(method: str, path: str) -> tuple[int, str, str]:
    """Status, content type and body."""
    identity = {"version": RELEASE["version"], "digest": RELEASE["digest"]}
    if "sometimes-another-release" in FAULTS and answers % 3 == 2:
        identity["version"] = "0.9.0"
    if "wrong-digest" in FAULTS:
        identity["digest"] = "sha256:" + "0" * 64
    document = {"openapi": "3.1.0", "paths": {}} if "document-differs" in FAULTS else DOCUMENT
    items: Any = {"items": "none" if "answer-differs" in FAULTS else ["one", "two"]}
    pages = {
        "/": (404 if "no-page" in FAULTS else 200, HTML, PAGE),
        "/style.css": (200, "text/css", "h1 { color: black }"),
        "/dot.svg": (200, "image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg"/>'),
        "/app.js": (200, SCRIPT, "throw new Error('broken')" if "script-throws" in FAULTS else "'fine'"),
        "/health": (503 if "unhealthy" in FAULTS else 200, JSON, json.dumps({"in_flight": in_flight})),
        "/ready": (503 if "not-ready" in FAULTS else 200, JSON, "{}"),
        "/version": (200, JSON, json.dumps(identity)),
        "/openapi.json": (200, JSON, json.dumps(document)),
        "/items": (500 if "fails" in FAULTS and answers % 4 == 3 else 200, JSON, json.dumps(items)),
        "/mine": (401, JSON, "{}"),
    }
    if "asset-missing" in FAULTS:
        del pages["/app.js"]
    if "page-for-everything" in FAULTS and path not in {"/health", "/ready", "/version", "/openapi.json", "/items"}:
        return pages["/"]
    if (method, path) == ("POST", "/orders"):
        return 201, JSON, "{}"
    return pages.get(path, (404, JSON, "{}"))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    global in_flight, answers  # noqa: PLW0603 - the whole application is this file
    if scope["type"] != "http":
        return
    counted = scope["path"] not in {"/health", "/ready", "/version"}
    in_flight += counted
    try:
        while (await receive()).get("more_body"):
            pass
        if "slow" in FAULTS and scope["path"] == "/items":
            await asyncio.sleep(0.3)
        if "dies" in FAULTS and scope["path"] == "/items":
            os._exit(1)
        status, kind, body = answer(scope["method"], scope["path"])
        answers += scope["path"] in {"/version", "/items"}
        headers = {"content-type": kind} | ({} if "no-security-headers" in FAULTS else HEADERS)
        if "tells-its-version" in FAULTS:
            headers["server"] = "tiny/1.0.3"
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body.encode()})
    finally:
        in_flight -= counted


def spin() -> None:
    while True:
        pass


if __name__ == "__main__":
    config = uvicorn.Config(app, uds=sys.argv[1], server_header=False, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    if "logs-an-error" in FAULTS:
        print("ERROR: something went wrong", file=sys.stderr)
    if "burns-cpu" in FAULTS:
        for _ in range(3):  # more than one process competes for the machine's cores
            multiprocessing.Process(target=spin, daemon=True).start()
    if "hoards-memory" in FAULTS:
        kept.append(os.urandom(1) * 200 * 2**20)
    on_sigterm = {
        "ignores-sigterm": lambda *_: None,
        "cuts-off": lambda *_: os._exit(0),
        "ends-badly": lambda *_: setattr(server, "should_exit", True),  # and then the exit code below
    }
    for fault in on_sigterm.keys() & FAULTS:
        server.handle_exit = on_sigterm[fault]  # type: ignore[method-assign]
    server.run()
    sys.exit(3 if "ends-badly" in FAULTS else 0)
