"""Nodes of a real swarm of three that die while it rolls out a release, and a task that dies alone.

Each fault comes at a moment that is forced: where the next task goes is said, and that it is there is asked. Users
order all the time. Whatever the outcome: what the gate says is so, no order that was acknowledged is lost, none fails.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest

from gate.machine.shell import wait_until
from tests.e2e.sites import Ran
from tests.swarm.conftest import Swarmed, nothing_lost
from tests.swarm.nodes import NODES, Node, all_there, leader, registry_stopped
from tests.team.users import ordering

pytestmark = pytest.mark.timeout(900)  # all that is waited for is a condition


def test_a_task_that_dies_too_late_for_swarm_ends_the_update(site: Swarmed) -> None:
    """Swarm has begun to replace the next one, so it does not count that one any more, and would go on to the last."""
    before = site.running()
    site.asks(NODES[0], monitor="2s")
    with ordering(site) as bill:
        ran = under_way(
            site,
            "1.0.1",
            lambda: site.kill(site.tasks("1.0.1")[0]),
            when=lambda: len(site.tasks("1.0.1")) > 1,
        )
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "a task has failed (task: non-zero exit (137))" in ran.reasons, ran.reasons
    assert site.running() == before
    nothing_lost(site, bill)


def test_a_machine_that_dies_in_an_update_is_done_without(site: Swarmed) -> None:
    """Neither the one that leads nor the one that the gate asks. It has a task to start, which Swarm waits for: of a
    release that no node has run yet, so that it must be pulled.
    """
    head = leader()
    victim = next(node for node in NODES[1:] if node != head)
    with ordering(site) as bill, ExitStack() as only_there:
        only_there.enter_context(victim.alone())
        only_there.enter_context(registry_stopped())

        def dies() -> None:
            victim.kill(machine=True)
            only_there.close()

        ran = under_way(site, "1.1.0", dies, when=partial(site.preparing, "1.1.0", victim))
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        assert site.service()["Spec"]["TaskTemplate"]["ForceUpdate"] > 0
    assert all_live(victim, site, "1.1.0"), site.placed()
    nothing_lost(site, bill)


def test_a_leader_that_dies_in_an_update_is_followed_by_another_and_its_orphans_are_told(site: Swarmed) -> None:
    """Its engine alone: its containers go on, with the release they have."""
    victim = leader()
    site.asks(next(node for node in NODES if node != victim))
    with ordering(site) as bill, ExitStack() as only_there:
        only_there.enter_context(victim.alone())

        def dies() -> None:
            victim.kill()
            only_there.close()

        ran = under_way(site, "1.2.0", dies, when=partial(site.runs, "1.2.0", victim))
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        assert all_live(victim, site, "1.2.0"), site.placed()
        assert f"may still answer users on {victim.name}, which is gone" in ran.told
        status = site.gate("status").document
    assert [one["healthy"] for one in status["instances"]] == [True]
    assert f"may still answer users on {victim.name}" in status["instances"][0]["health"]
    nothing_lost(site, bill)


def test_without_a_majority_nothing_is_claimed_and_recover_goes_on_when_it_is_back(site: Swarmed) -> None:
    """Two of three, one of them with all that runs on it; what is on the third goes on answering."""
    before, survivor, others = site.running(), NODES[0], NODES[1:]
    site.asks(survivor, timeout="15s")  # half of what it costs: nobody answers any more
    with ordering(site) as bill, ExitStack() as only_there:
        only_there.enter_context(survivor.alone())

        def die() -> None:
            for node in others:
                node.kill(machine=node == others[0])

        # A balancer that did not know of it would have nobody to ask: no manager tells it any more.
        ran = under_way(site, "1.3.0", die, when=lambda: site.runs("1.3.0", survivor) and site.answered("1.3.0"))
        assert (ran.code, ran.document["outcome"]) == (4, "ROLLBACK_FAILED"), f"{ran.reasons}\n{ran.told}"
        assert ran.document["stable"] is None, ran.document
        refused = site.deploy("1.3.0")
        assert refused.code == 5, refused.told
        all_there()
        only_there.close()
        site.asks(survivor)
        recovered = site.gate("recover", timeout=300)
    assert (recovered.code, site.running()) == (1, before), recovered.told
    nothing_lost(site, bill)


def under_way(site: Swarmed, version: str, happens: Callable[[], object], when: Callable[[], bool]) -> Ran:
    """Deploys a version, and lets something happen when its update has come so far."""
    running = site.start("--version", version, "--again", "a test", "--yes")
    try:
        assert wait_until(lambda: running.poll() is not None or when(), timeout=240, every=0.1), site.placed()
        assert running.poll() is None, running.communicate()
        happens()
        out, err = running.communicate(timeout=400)
    finally:
        running.kill()
        running.wait()
    return site.read(running.returncode, out, err)


def all_live(dead: Node, site: Swarmed, version: str) -> bool:
    """Whether all tasks of a version run on nodes that live, once the leader has noticed the one that does not."""
    return wait_until(
        lambda: [given for given, node in site.placed() if node != dead.name] == [version] * 3, timeout=60
    )
