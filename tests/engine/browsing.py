"""Users who come by TLS, with HTTP/1.1 or HTTP/2, to an environment in which r1 serves 1.0.0 and r2 runs 1.1.0."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trustme

from gate.engines.base import Instance
from gate.machine.shell import wait_until
from tests.engine.site import Site

Browser = Callable[[], httpx.Client]


def browser(url: str, authority: Path, *, http2: bool) -> httpx.Client:
    """One that trusts that authority and no other."""
    trust = ssl.create_default_context(cafile=str(authority))
    return httpx.Client(base_url=url, verify=trust, http2=http2, http1=not http2, timeout=20, trust_env=False)


def issued(authority: trustme.CA, to: Path) -> None:
    """A certificate for localhost, ``front.pem``, and its key."""
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(to / "front.key")
    (to / "front.pem").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))


def both(here: Site) -> list[Instance]:
    """The new one, and the old one."""
    found = [here.engine.find(name) for name in ("r2", "r1")]
    assert None not in found
    return [one for one in found if one is not None]


def switches_lose_no_request(here: Site, opened: Browser, protocol: str) -> None:
    """Twenty switches under four users, who all speak the protocol."""
    answers: list[tuple[int, str]] = []
    unanswered: list[str] = []
    over = threading.Event()

    def more_than(count: int) -> bool:
        return len(answers) > count

    def shop() -> None:
        with opened() as user:
            while not over.is_set():
                try:
                    said = [user.get("/version"), user.post("/any", content=b"x" * 9000)]
                except httpx.HTTPError as fault:
                    unanswered.append(repr(fault))
                    continue
                answers.extend((one.status_code, one.http_version) for one in said)

    users = [threading.Thread(target=shop) for _ in range(4)]
    for user in users:
        user.start()
    try:
        for target in both(here) * 10:
            enough = len(answers) + 16
            here.engine.promote(target)
            assert wait_until(partial(more_than, enough), timeout=20), unanswered
    finally:
        over.set()
        for user in users:
            user.join()
    assert unanswered == []
    assert set(answers) == {(200, protocol)}


def an_upload_and_a_streamed_answer_outlive_a_switch(here: Site, opened: Browser) -> None:
    """Both began before it, and end with the release that they began with."""
    new, old = both(here)
    here.engine.promote(old)
    switched, uploading = threading.Event(), threading.Event()
    uploaded: list[dict[str, Any]] = []

    def body() -> Iterator[bytes]:
        for part in range(64):
            if part == 32:
                uploading.set()
                switched.wait(10)
            yield b"x" * 500_000

    def upload() -> None:
        with opened() as user:
            uploaded.append(user.post("/upload", content=body()).json())

    sending = threading.Thread(target=upload)
    sending.start()
    with opened() as user, user.stream("GET", "/stream/2") as streamed:
        lines = streamed.iter_lines()
        said = [next(lines)]
        assert uploading.wait(10)
        here.engine.promote(new)
        switched.set()
        drained = here.engine.drain(old, 20)
        said += list(lines)
    sending.join()
    assert drained.complete
    assert said == ["1.0.0"] * 20 + ["end"]
    assert [(one["version"], one["bytes"]) for one in uploaded] == [("1.0.0", 32_000_000)]
    with opened() as user:
        assert user.get("/version").json()["version"] == "1.1.0"
