"""The gate on a real swarm of three: what was rolled out, what was taken back, and whatever dies meanwhile.

Users order all the time. Whatever the outcome: no order that was acknowledged is lost, and what the gate says is so.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from gate.machine.shell import wait_until
from tests.e2e.sites import Ran
from tests.swarm.conftest import HOUSE, Swarmed, swarmed
from tests.swarm.nodes import NODES, Node, all_there, leader, registry_stopped
from tests.team.users import Bill, ordering

INTERRUPTING = HOUSE / "tests" / "e2e" / "interrupting.py"
pytestmark = pytest.mark.timeout(1200)  # all that is waited for is a condition


@pytest.fixture(scope="module")
def all_tests(swarm: None) -> Iterator[Swarmed]:
    """1.0.0 was deployed by the gate over what had been there, and nobody noticed."""
    with swarmed() as made:
        for version, fault in (("1.0.0", ""), ("1.1.0", ""), ("1.2.0", "crash"), ("1.3.0", "lies"), ("1.4.0", "")):
            made.release(version, fault)
        with ordering(made) as bill:
            ran = made.deploy("1.0.0")
        assert (ran.code, made.running()) == (0, ["1.0.0"] * 3), f"{ran.reasons}\n{ran.told}"
        assert len(bill.answers) > 100
        nothing_lost(made, bill)
        yield made


@pytest.fixture
def site(all_tests: Swarmed) -> Iterator[Swarmed]:
    """The same; after a test all nodes are there again, and one release serves on three tasks."""

    def whole() -> bool:
        running = all_tests.running()
        return len(running) == 3 and len(set(running)) == 1

    yield all_tests
    all_there()
    all_tests.asks(NODES[0])
    if not wait_until(whole, timeout=60):
        all_tests.put_in_order()
    assert wait_until(whole, timeout=60), all_tests.placed()


@pytest.mark.parametrize("version", ["1.2.0", "1.3.0"], ids=["crashes", "lies"])
def test_a_bad_one_is_taken_back_and_what_served_is_proven(site: Swarmed, version: str) -> None:
    with ordering(site) as bill:
        ran = site.deploy(version)
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert site.running() == ["1.0.0"] * 3
    service = site.service()
    # The way back that a team's stack file gave is stop-first: the one that serves would end first.
    assert [service["Spec"][key]["Order"] for key in ("UpdateConfig", "RollbackConfig")] == ["start-first"] * 2
    nothing_lost(site, bill)


def test_recover_undoes_what_a_killed_gate_began(site: Swarmed) -> None:
    with ordering(site) as bill:
        argv = [sys.executable, str(INTERRUPTING), "1.1.0", "promote", "2.5", "SIGKILL"]
        killed = subprocess.run(
            argv, cwd=site.root, env=site.environment, capture_output=True, timeout=300, check=False
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        recovered = site.gate("recover", timeout=300)
    assert (recovered.code, site.running()) == (1, ["1.0.0"] * 3), recovered.told
    nothing_lost(site, bill)


def test_a_machine_that_dies_in_an_update_is_done_without(site: Swarmed) -> None:
    """Neither the one that leads nor the one that the gate asks. It has a task to start, which Swarm waits for."""
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
        assert without(victim, site) == ["1.1.0"] * 3, site.placed()
        back = site.gate("rollback", timeout=300)
    assert back.code == 1, back.told
    assert without(victim, site) == ["1.0.0"] * 3, site.placed()
    nothing_lost(site, bill)


def test_a_leader_that_dies_in_an_update_is_followed_by_another_and_its_orphans_are_told(site: Swarmed) -> None:
    """Its engine alone: its containers go on, with the release they had, and nobody can end them."""
    victim = leader()
    site.asks(next(node for node in NODES if node != victim))
    with ordering(site) as bill:
        ran = under_way(site, "1.1.0", victim.kill, when=partial(site.half_way, "1.1.0", victim))
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        assert without(victim, site) == ["1.1.0"] * 3, site.placed()
        assert f"may still answer users on {victim.name}, which is gone" in ran.told
        status = site.gate("status").document
    assert [one["healthy"] for one in status["instances"]] == [True]
    assert f"may still answer users on {victim.name}" in status["instances"][0]["health"]
    nothing_lost(site, bill)


def test_without_a_majority_nothing_is_claimed_and_recover_goes_on_when_it_is_back(site: Swarmed) -> None:
    before, others = site.running(), NODES[1:]
    site.asks(NODES[0], timeout="40s")  # as long as the gate waits for a leader anyway
    with ordering(site) as bill:

        def kill() -> None:
            for node in others:
                node.kill(machine=node == others[0])

        ran = under_way(site, "1.4.0", kill, when=partial(site.updating, NODES[0]))
        assert (ran.code, ran.document["outcome"]) == (4, "ROLLBACK_FAILED"), f"{ran.reasons}\n{ran.told}"
        assert ran.document["stable"] is None, ran.document
        refused = site.deploy("1.4.0")
        assert refused.code == 5, refused.told
        all_there()
        site.asks(NODES[0])
        recovered = site.gate("recover", timeout=300)
    assert (recovered.code, site.running()) == (1, before), recovered.told
    nothing_lost(site, bill)


def under_way(site: Swarmed, version: str, happens: Callable[[], object], when: Callable[[], bool]) -> Ran:
    """Deploys a version, and lets something happen when its update has come so far."""
    running = site.start("--version", version, "--again", "a test", "--yes")
    try:
        assert wait_until(when, timeout=240, every=0.1), (running.poll(), site.placed())
        happens()
        out, err = running.communicate(timeout=400)
    finally:
        running.kill()
        running.wait()
    return site.read(running.returncode, out, err)


def without(dead: Node, site: Swarmed) -> list[str]:
    """Versions of the tasks that are said to run on nodes that live."""
    return [version for version, node in site.placed() if node != dead.name]


def nothing_lost(site: Swarmed, bill: Bill) -> None:
    """Every order that was acknowledged is kept, and every order was."""
    assert set(bill.answers) == {201}, Counter(bill.answers)
    assert site.book.lost(bill.acknowledged) == []
