"""What a watch asks seldom is asked at least once in every step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from gate.engines.base import NOT_RUNNING, ServiceState
from gate.live.observations import HostUsed, Role, ServiceSeen
from gate.watching.looks import Looks


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


class Engine:
    """Sees nothing but the disk."""

    def health(self, _instance: object) -> list[object]:
        return []

    resources = health

    def endpoint(self, _instance: object) -> object:
        return SimpleNamespace(url="http://127.0.0.1:9", headers={})

    def host(self) -> Any:
        return SimpleNamespace(disk=0.5)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def looks(clock: Clock) -> Looks:
    service = SimpleNamespace(route="/", identity="/version#version")
    environment = SimpleNamespace(database=None, routed=lambda: {"web": service})
    candidate = SimpleNamespace(id="r1", version="1.1.0")
    return Looks(cast("Any", environment), cast("Any", Engine()), cast("Any", candidate), None, clock)


def asked(looks: Looks) -> bool:
    return any(isinstance(seen, HostUsed) for seen in list(looks.seldom()))


def test_the_data_is_asked_seldom_and_once_a_step(looks: Looks, clock: Clock) -> None:
    assert asked(looks)
    clock.at = 1.0
    assert not asked(looks), "it is not due"
    looks.ask_everything_next()
    assert asked(looks), "a step has begun"
    clock.at = 7.0
    assert asked(looks), "its time has come"


def test_a_step_that_begins_during_a_look_has_one_of_its_own(looks: Looks, clock: Clock) -> None:
    for seen in looks.seldom():
        if isinstance(seen, HostUsed):
            looks.ask_everything_next()
    clock.at = 0.1
    assert asked(looks)


@pytest.mark.parametrize(
    ("detail", "code", "told"),
    [
        (
            "killed: it took more memory than its limit",
            137,
            "has ended with exit code 137 (killed: it took more memory",
        ),
        (NOT_RUNNING, None, "has ended"),
    ],
)
def test_why_a_service_has_ended_is_told(looks: Looks, detail: str, code: int | None, told: str) -> None:
    state = ServiceState("web", alive=False, healthy=False, detail=detail, exit_code=code)
    cast("Any", looks)._engine.health = lambda _instance: [state]
    (seen,) = looks.health(cast("Any", looks)._candidate, Role.CANDIDATE)
    assert isinstance(seen, ServiceSeen)
    assert (seen.alive, seen.detail.startswith(told)) == (False, True), seen.detail
