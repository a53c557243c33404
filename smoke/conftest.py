"""What the cases in this folder share, and the order they run in."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

# A dead or a wrong release is told in the first second. What looks back on the run, at its log and its data, comes
# last. Everything else runs between, in the order of the files' names.
FIRST = ("test_alive.py", "test_identity.py")
LAST = ("test_shutdown.py", "test_resources.py", "test_invariants.py", "test_log.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.name
        return FIRST.index(name) - len(FIRST) if name in FIRST else LAST.index(name) + 1 if name in LAST else 0

    items.sort(key=place)


@dataclass(frozen=True)
class Sample:
    """An answer and the seconds it took."""

    answer: Any
    seconds: float


def p95(samples: Iterable[Sample]) -> float:
    """The 95th percentile in seconds, by nearest rank: a time that was really measured."""
    seconds = sorted(sample.seconds for sample in samples)
    return seconds[math.ceil(0.95 * len(seconds)) - 1]


Send = Callable[[Any], Any]


class Load:
    """Sends one request many times from several clients at once."""

    p95 = staticmethod(p95)

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, send: Send, *, times: int, clients: int) -> list[Sample]:
        """``send(client)`` called ``times`` times in all, shared out evenly; each client has its own connections."""

        def one_client(count: int) -> list[Sample]:
            with self._app.new() as client:
                return [_timed(send, client) for _ in range(count)]

        counts = [times // clients + (number < times % clients) for number in range(clients)]
        with ThreadPoolExecutor(clients) as pool:
            return [sample for samples in pool.map(one_client, counts) for sample in samples]


def _timed(send: Send, client: Any) -> Sample:
    began = time.perf_counter()
    answer = send(client)
    return Sample(answer, time.perf_counter() - began)


@pytest.fixture
def load(app: Any) -> Load:
    return Load(app)


@pytest.fixture(scope="session")
def field() -> Callable[[Any, str], object]:
    """The value at ``PATH#FIELD`` (dots lead inwards) as a client is told it now; a failure says what came instead."""

    def ask(client: Any, reference: str) -> object:
        path, _, name = reference.partition("#")
        answer = client.get(path)
        assert answer.status_code == 200, f"GET {path}: status {answer.status_code}, expected 200"
        value = answer_json(answer)
        for step in name.split("."):
            value = value.get(step) if isinstance(value, dict) else None
            assert value is not None, f"GET {path}: the answer has no field {name}"
        return value

    return ask


def answer_json(answer: Any) -> Any:
    """What an answer holds, and a failure that shows its beginning when that is not JSON."""
    try:
        return answer.json()
    except json.JSONDecodeError:
        pytest.fail(f"{answer.request.method} {answer.request.path_url}: not JSON: {answer.text[:80]!r}")


@pytest.fixture(scope="session")
def eventually() -> Callable[..., bool]:
    """Whether something comes true within ``timeout`` seconds."""

    def wait(condition: Callable[[], bool], *, timeout: float = 5.0, every: float = 0.05) -> bool:
        deadline = time.monotonic() + timeout
        pause = threading.Event().wait
        while not condition():
            if time.monotonic() >= deadline:
                return False
            pause(every)
        return True

    return wait
