"""The way back goes as far as it can; a server that is lost fails each step by its name, and stops no other's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gate.engines.hosts import HostsEngine
from gate.errors import EngineError
from tests.unit.hosts.servers import LOST, NEW, OLD, Server, engine, instance, release, serving


def test_the_way_back_is_gone_on_those_that_answer(a: Server, b: Server) -> None:
    a.serving = b.serving = NEW
    b.lost = True
    both = engine(a, b)
    with pytest.raises(EngineError, match=r"^b: no SSH connection$"):
        both.promote(OLD)
    assert serving(a) == ["r1"]
    assert both.stable() == OLD


def test_a_way_back_that_is_not_proven_somewhere_is_never_gone_forward_again(a: Server, b: Server) -> None:
    a.serving = b.serving = NEW
    b.answers = "1.1.0"
    with pytest.raises(EngineError, match=r"^b: at the front door /version#version says 1.1.0, expected 1.0.0$"):
        engine(a, b).promote(OLD)
    assert serving(a, b) == ["r1", "r1"]


def test_a_second_instance_of_the_same_run_makes_no_way_back(a: Server, b: Server) -> None:
    """What a smoke test started beside the candidate is younger, and the switch still goes forward."""
    spare = instance("r2x", "1.1.0")
    a.known_["r2x"] = b.known_["r2x"] = spare
    b.wrong["promote r2"] = LOST
    with pytest.raises(EngineError, match="taken back"):
        engine(a, b).promote(NEW)
    assert serving(a, b) == ["r1", "r1"]


def test_nothing_is_stopped_where_it_still_gets_the_traffic(a: Server, b: Server) -> None:
    """A server was lost on the way back, and is there again when the candidate is to end."""
    b.serving = NEW
    with pytest.raises(EngineError, match=r"^b: r2 still gets the traffic, so it is not stopped$"):
        engine(a, b).stop(NEW)
    assert "stop r2" in a.calls
    assert "stop r2" not in b.calls


STEPS: list[tuple[str, Callable[[HostsEngine], object], str]] = [
    ("start", lambda both: both.start(release("1.2.0"), "r3"), "start"),
    ("health", lambda both: both.health(NEW), "health"),
    ("unshare", lambda both: both.promote(NEW, 0), "unshare"),
    ("back", lambda both: both.promote(OLD), "promote r1"),
    ("withdraw", lambda both: both.withdraw(), "withdraw"),
    ("drain", lambda both: both.drain(OLD, 1), "drain"),
    ("stop", lambda both: both.stop(NEW), "stop r2"),
    ("resources", lambda both: both.resources(NEW), "resources"),
    ("logs", lambda both: both.logs(NEW), "logs"),
    ("follow", lambda both: both.follow(NEW), "follow"),
    ("rebuild", lambda both: both.rebuild({}), "rebuild"),
    ("prune", lambda both: both.prune(set()), "prune"),
    ("settle", lambda both: both.settle(), "settle"),
    ("host", lambda both: both.host(), "host"),
]


@pytest.mark.parametrize(("act", "call"), [(act, call) for _, act, call in STEPS], ids=[name for name, _, _ in STEPS])
def test_a_lost_server_fails_each_step_by_its_name_and_keeps_no_other_from_it(
    a: Server, b: Server, act: Callable[[HostsEngine], object], call: str
) -> None:
    a.lost = True
    with pytest.raises(EngineError, match=r"^a: no SSH connection"):
        act(engine(a, b))
    assert call in b.calls
