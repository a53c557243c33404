"""Does it leave politely? A second instance is started and stopped; a request in flight must not notice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# What it shows does not change with traffic, so it is asked once.
pytestmark = [
    pytest.mark.category("Deployment Scripts"),
    pytest.mark.requires("candidate", "units"),
    pytest.mark.critical,  # every later deployment would lose requests with it
]

# 143 and -15 are how a process ends that leaves the ending to SIGTERM itself.
CLEAN = (0, 143, -15)
# How long a process that has been told to stop may go on taking new requests, in seconds: half its grace at most.
STILL_OPEN = 5.0
# How long an answer may take.
ANSWER = 10.0
# A proxy says with these that nobody is behind it.
NOBODY = (502, 503, 504)


class Held(threading.Thread):
    """A request whose body stays unfinished until ``finish``: in flight for as long as a case wants."""

    def __init__(self, client: Any, path: str) -> None:
        super().__init__(daemon=True)
        self._client, self._path = client, path
        self._end = threading.Event()
        self.status: int | None = None
        self.fault = "no answer"

    def run(self) -> None:
        try:
            answer = self._client.post(self._path, data=self._body(), headers={"Content-Type": "application/json"})
            if answer.status_code in NOBODY:
                self.fault = f"the proxy says {answer.status_code}"
            else:
                self.status = answer.status_code
        except OSError as fault:  # what every error of the client is
            self.fault = type(fault).__name__

    def _body(self) -> Iterator[bytes]:
        yield b"{"
        self._end.wait(ANSWER)
        yield b"}"

    def finish(self) -> None:
        self._end.set()
        self.join(ANSWER)


class Stopping(threading.Thread):
    """Stops an instance while the case goes on."""

    def __init__(self, engine: Any, instance: Any) -> None:
        super().__init__(daemon=True)
        self._engine, self._instance = engine, instance
        self.stopped: list[Any] = []

    def run(self) -> None:
        self.stopped = self._engine.stop(self._instance)


def test_graceful_shutdown(
    spare: Callable[[], tuple[Any, Any]],
    engine: Any,
    services: Any,
    contract: Any,
    field: Callable[[Any, str], object],
    eventually: Callable[..., bool],
    warn: Callable[[str], None],
) -> None:
    """A second instance finishes the request in flight, takes no new one and ends cleanly"""
    instance, client = spare()
    front = next(service for service in services.values() if service.route == "/")
    path = contract.plain_post() if contract and front.in_flight else None
    held = Held(client.new(), path) if path else None
    stopping = Stopping(engine, instance)
    graces = [service.stop_grace for service in services.values()]
    still_open = min(STILL_OPEN, min(graces) / 2)
    try:
        running = {state.name for state in engine.health(instance) if state.alive}
        if held is not None:
            held.start()
            arrived = eventually(lambda: field(client, front.in_flight) != 0)
            assert arrived, f"POST {path} is not counted at {front.in_flight} while it is in flight"
        stopping.start()
        closed = eventually(lambda: refuses(client, front.health), timeout=still_open)
        assert closed, f"it still takes new requests {still_open:g} s after SIGTERM"
        if held is not None:
            held.finish()
            assert held.status is not None, f"the request in flight was cut off: {held.fault}"
            assert held.status < 500, f"the request in flight was answered with status {held.status}"
        stopping.join(max(graces) + ANSWER)
        ended = {stopped.name for stopped in stopping.stopped}
        assert ended >= running, f"it still ran after its grace period: {', '.join(running - ended)}"
        for stopped in stopping.stopped:
            assert not stopped.killed, f"{stopped.name} had to be killed after {stopped.seconds:.1f} s"
            assert stopped.exit_code in (None, *CLEAN), f"{stopped.name} ended with exit code {stopped.exit_code}"
    finally:
        engine.stop(instance, grace=0)
    if held is None:
        warn("stopped cleanly, but with no request in flight: that takes an OpenAPI document and in_flight")


def refuses(client: Any, path: str) -> bool:
    try:
        return client.get(path).status_code in NOBODY
    except OSError:
        return True
