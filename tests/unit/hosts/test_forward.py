"""Forward is all or nothing: all are healthy before any is switched, and what one refuses is taken back on all."""

from __future__ import annotations

import pytest

from gate.engines.base import Instance
from gate.engines.hosts import HostsEngine
from gate.errors import EngineError
from gate.releases import Release
from tests.unit.hosts.servers import LOST, NEW, Server, engine, release, serving


def test_a_release_is_started_on_all_once_each_has_its_image(a: Server, b: Server) -> None:
    brought: list[str] = []

    def bring(wanted: Release) -> None:
        assert "start" not in a.calls + b.calls
        brought.append(wanted.version)

    started = engine(a, b, bring=bring).start(release("1.2.0"), "r3")
    assert (started.id, brought) == ("r3", ["1.2.0"])
    assert "r3" in a.known_
    assert "r3" in b.known_


def test_a_switch_is_made_on_all(both: HostsEngine, a: Server, b: Server) -> None:
    both.promote(NEW)
    assert serving(a, b) == ["r2", "r2"]
    assert both.stable() == NEW


@pytest.mark.parametrize("ails", ["has died", "/ready answers 503"])
def test_nobody_is_switched_while_the_candidate_ails_somewhere(
    both: HostsEngine, a: Server, b: Server, ails: str
) -> None:
    b.ailing["r2"] = ails
    assert not all(state.healthy for state in both.health(NEW))
    with pytest.raises(EngineError, match=f"r2 .* gets no traffic: web on b {ails}"):
        both.promote(NEW)
    assert not [call for call in a.calls + b.calls if call.startswith("promote")]


def test_nobody_is_switched_while_a_server_is_lost(both: HostsEngine, a: Server, b: Server) -> None:
    b.lost = True
    with pytest.raises(EngineError, match="b: no SSH connection"):
        both.promote(NEW)
    with pytest.raises(EngineError, match="b: no SSH connection"):
        both.promote(NEW, 0.5)
    assert (serving(a), a.shared) == (["r1"], None)


def test_what_one_server_refuses_is_taken_back_on_the_others(both: HostsEngine, a: Server, b: Server) -> None:
    b.wrong["promote r2"] = EngineError("the front door does not answer")
    with pytest.raises(EngineError, match="b: the front door does not answer; taken back on a, b"):
        both.promote(NEW)
    assert serving(a, b) == ["r1", "r1"]
    assert "promote r2" in a.calls


def test_a_switch_whose_answer_was_lost_is_taken_back_there_as_well(both: HostsEngine, a: Server, b: Server) -> None:
    """It was made, and nobody heard of it."""

    def promote(instance: Instance, share: float = 1.0) -> None:
        Server.promote(b, instance, share)
        if instance.id == "r2":
            raise LOST

    b.promote = promote  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="b: no SSH connection; taken back on a, b"):
        both.promote(NEW)
    assert serving(a, b) == ["r1", "r1"]


def test_a_server_that_is_lost_while_it_switches_is_named_and_the_others_go_back(
    both: HostsEngine, a: Server, b: Server
) -> None:
    def promote(instance: Instance, share: float = 1.0) -> None:
        b.lost = True
        raise LOST

    b.promote = promote  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="b: no SSH connection; taken back on a, and not on b: no SSH connection"):
        both.promote(NEW)
    assert serving(a) == ["r1"]


def test_a_front_door_that_answers_with_another_release_is_no_switch(both: HostsEngine, a: Server, b: Server) -> None:
    b.answers = "1.0.0"
    with pytest.raises(EngineError, match=r"b: at the front door /version#version says 1.0.0, expected 1.1.0"):
        both.promote(NEW)
    assert serving(a, b) == ["r1", "r1"]


def test_a_switch_that_is_not_there_when_it_is_read_again_is_none(both: HostsEngine, a: Server, b: Server) -> None:
    b.promote = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="b: traffic goes to r1, expected r2"):
        both.promote(NEW)
    assert serving(a, b) == ["r1", "r1"]


def test_a_first_release_that_one_server_refuses_serves_nowhere(a: Server, b: Server) -> None:
    a.serving = b.serving = None
    b.wrong["promote r2"] = LOST
    with pytest.raises(EngineError, match="taken back on a, b"):
        engine(a, b).promote(NEW)
    assert serving(a, b) == ["nothing", "nothing"]


def test_a_share_is_given_on_all_and_taken_on_all(both: HostsEngine, a: Server, b: Server) -> None:
    both.promote(NEW, 0.1)
    assert (a.shared, b.shared, serving(a, b)) == (("r2", 0.1), ("r2", 0.1), ["r1", "r1"])
    both.promote(NEW, 0)
    assert (a.shared, b.shared) == (None, None)


def test_a_share_that_one_server_refuses_is_given_on_none(both: HostsEngine, a: Server, b: Server) -> None:
    b.wrong["share"] = EngineError("a full disk")
    with pytest.raises(EngineError, match="b: a full disk; taken back on a, b"):
        both.promote(NEW, 0.1)
    assert (a.shared, b.shared) == (None, None)


def test_a_share_that_is_another_when_it_is_read_again_is_given_on_none(
    both: HostsEngine, a: Server, b: Server
) -> None:
    b.canary = lambda: ("r2", 0.5)  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="b: 10% of the traffic was to go to r2"):
        both.promote(NEW, 0.1)
    assert a.shared is None
