"""The gate on a real swarm of three: what was rolled out, what was taken back, and a gate that dies meanwhile.

Users order all the time. Whatever the outcome: no order that was acknowledged is lost, and what the gate says is so.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gate.machine.shell import wait_until
from tests.swarm.conftest import HOUSE, Swarmed, nothing_lost, swarmed
from tests.swarm.nodes import NODES, all_there
from tests.team.users import ordering

INTERRUPTING = HOUSE / "tests" / "e2e" / "interrupting.py"
pytestmark = pytest.mark.timeout(1200)  # all that is waited for is a condition


@pytest.fixture(scope="module")
def all_tests(swarm: None) -> Iterator[Swarmed]:
    """1.0.0 was deployed by the gate over what had been there, and nobody noticed."""
    with swarmed() as made:
        for version, fault in (("1.0.0", ""), ("1.1.0", ""), ("1.2.0", "crash"), ("1.3.0", "lies")):
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
