"""What several servers say of a release: who serves, how it is on each, and what each of them wrote and used."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from gate.engines.base import Drained, Endpoint, Host, Instance, Split
from gate.engines.hosts import HostsEngine
from gate.errors import EngineError
from gate.releases import Release
from tests.unit.hosts.servers import LOST, NEW, OLD, Server, engine, instance


def test_those_that_answer_tell_who_serves_and_what_is_there(both: HostsEngine, b: Server) -> None:
    b.lost = True
    assert both.stable() == OLD
    assert both.find("r2") == NEW
    assert [one.id for one in both.instances()] == ["r1", "r2"]


def test_where_nobody_answers_nobody_can_tell(both: HostsEngine, a: Server, b: Server) -> None:
    a.lost = b.lost = True
    for asked in (both.stable, both.instances, lambda: both.find("r1")):
        with pytest.raises(EngineError, match="a: no SSH connection; b: no SSH connection"):
            asked()


@pytest.mark.parametrize(("other", "told"), [(NEW, r"1.1.0 \(r2\) on b"), (None, "nothing on b")])
def test_a_server_that_comes_back_with_another_release_is_told(
    both: HostsEngine, b: Server, other: Instance | None, told: str
) -> None:
    b.serving = other
    with pytest.raises(Split, match=rf"1.0.0 \(r1\) on a, {told}") as split:
        both.stable()
    assert str(split.value.next_step).startswith("python deploy_gate.py here up")
    facts = both.facts()
    assert not facts.supported
    assert "users do not reach the same release everywhere" in facts.detail


def test_what_runs_as_another_release_somewhere_is_not_healthy(both: HostsEngine, b: Server) -> None:
    b.known_["r2"] = instance("r2", "9.9.9")
    sick = [state for state in both.health(NEW) if not state.healthy]
    assert [(state.name, state.detail) for state in sick] == [("web on b", "is 9.9.9 (sha256:9.9.9)")]
    with pytest.raises(EngineError, match="r2 is not the same everywhere"):
        both.find("r2")


def test_what_is_missing_somewhere_does_not_live(both: HostsEngine, b: Server) -> None:
    del b.known_["r2"]
    assert [(state.name, state.alive) for state in both.health(NEW)] == [("web on a", True), ("web on b", False)]


def test_what_says_it_is_another_release_is_not_healthy(a: Server, b: Server) -> None:
    b.endpoint = lambda instance: Endpoint("http://b/1.0.0")  # type: ignore[method-assign] # noqa: ARG005
    sick = [state for state in engine(a, b).health(NEW) if not state.healthy]
    assert [(state.name, state.alive) for state in sick] == [("web on b", True)]
    assert sick[0].detail == "/version#version says 1.0.0, expected 1.1.0"


def test_what_does_not_say_who_it_is_is_not_healthy(a: Server, b: Server) -> None:
    b.endpoint = lambda instance: Endpoint("http://b/")  # type: ignore[method-assign] # noqa: ARG005
    sick = [state for state in engine(a, b).health(NEW) if not state.healthy]
    assert [state.detail for state in sick] == ["/version#version says nothing, expected 1.1.0"]


def test_what_stands_in_the_way_names_its_server(both: HostsEngine, b: Server) -> None:
    release = Release("1.2.0", "sha256:x", None, Path("nowhere"))
    assert both.obstacles(release) == []
    b.unfit = "too old"
    assert both.obstacles(release) == ["1.2.0 is in its own way (on b)"]


def test_each_figure_names_its_server_and_the_machine_is_the_one_worst_off(
    both: HostsEngine, a: Server, b: Server
) -> None:
    a.used, b.used = Host(0.9, 0.0, 0.2, 0.3, 1000, 8), Host(0.1, 0.0, 0.8, 0.7, 10, 4)
    assert both.host() == Host(0.9, 0.0, 0.8, 0.7, 10, 4)
    assert [used.name for used in both.resources(NEW)] == ["web on a", "web on b"]
    assert both.logs(NEW, 5) == ["web on a: 5 lines: a", "web on b: 5 lines: b"]


def test_a_drain_is_over_when_it_is_everywhere(both: HostsEngine, b: Server) -> None:
    b.drain = lambda *_: Drained(complete=False, seconds=3.0, left=2)  # type: ignore[method-assign]
    assert both.drain(OLD, 3) == Drained(complete=False, seconds=3.0, left=2)
    b.drain = lambda *_: Drained(complete=False, seconds=3.0, left=None)  # type: ignore[method-assign]
    assert both.drain(OLD, 3).left is None


def test_a_server_that_is_not_fit_is_named(both: HostsEngine, b: Server) -> None:
    assert both.facts().supported
    b.unfit = "Docker 1.13 is not supported"
    assert both.facts().detail == "b: Docker 1.13 is not supported"


def test_lines_of_a_server_are_kept_while_another_does_not_answer(a: Server, b: Server) -> None:
    lines = [("web", "one")]
    a.follows = lambda: [lines.pop()] if lines else []
    broken = [True]

    def follow() -> list[tuple[str, str]]:
        if broken:
            broken.pop()
            raise LOST
        return [("web", "two")]

    b.follows = follow
    new = engine(a, b).follow(NEW)
    with pytest.raises(EngineError, match="b: no SSH connection"):
        new()
    assert new() == [("web", "one"), ("web", "two")]


def test_a_server_that_hangs_delays_nobody_for_long(a: Server, b: Server) -> None:
    goes_on = threading.Event()

    def hang() -> list[tuple[str, str]]:
        goes_on.wait(20)
        return [("web", "late")]

    b.follows = hang
    new = engine(a, b).follow(NEW)
    began = time.monotonic()
    try:
        with pytest.raises(EngineError, match=r"^b: does not answer$"):
            new()
        assert time.monotonic() - began < 5
    finally:
        goes_on.set()
    assert ("web", "late") in new()
