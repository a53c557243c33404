"""Whole deployments to a server by SSH, under users: a good one, a bad one, a killed gate, a connection that is cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gate.machine.shell import wait_until
from tests.commands.little import HOUSE
from tests.remote.project import Remote, project
from tests.remote.server import Server
from tests.team.users import shopping

INTERRUPTING = HOUSE / "tests" / "e2e" / "interrupting.py"


@pytest.fixture(scope="module")
def site(remote: Server) -> Iterator[Remote]:
    """1.0.0 serves from a container of the server."""
    with project(remote, {"1.0.0": "", "1.1.0": "none", "1.2.0": "dies-after-writing", "1.3.0": "none 3"}) as made:
        made.steps("50% 10s", "100% 10s")
        yield made


def test_a_good_release_takes_over_and_nobody_notices(site: Remote) -> None:
    with shopping(site) as answers:
        ran = site.deploy("1.1.0")
    assert (ran.code, site.serving()) == (0, "1.1.0"), f"{ran.reasons}\n{ran.told}"
    assert set(answers) == {200}
    assert len(answers) > 100


def test_one_that_dies_under_users_is_taken_back(site: Remote) -> None:
    with shopping(site) as answers:
        ran = site.deploy("1.2.0")
    assert (ran.code, site.serving()) == (1, "1.1.0"), f"{ran.reasons}\n{ran.told}"
    assert answers[-1] == 200


def test_recover_undoes_what_a_killed_gate_began(site: Remote) -> None:
    with shopping(site) as answers:
        argv = [sys.executable, str(INTERRUPTING), "1.3.0", "promote", "0.05", "SIGKILL"]
        killed = subprocess.run(
            argv, cwd=site.root, env=site.environment, capture_output=True, timeout=180, check=False
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        recovered = site.gate("recover")
    assert (recovered.code, site.serving()) == (1, "1.1.0"), recovered.told
    assert set(answers) == {200}
    assert [one["version"] for one in site.gate("status").document["instances"]] == ["1.1.0"]


def test_a_connection_cut_in_the_canary_is_told_and_recovered_from(site: Remote, remote: Server) -> None:
    """Nobody reaches the server for a while: users go on, and what the gate could not undo it says."""
    before = site.serving()
    with shopping(site) as answers:
        running = site.start("--version", "1.3.0", "--again", "a test", "--yes")
        assert wait_until(lambda: site.canary() is not None, timeout=120, every=0.1)
        remote.cut()
        out, err = running.communicate(timeout=180)
        cut = site.read(running.returncode, out, err)
        remote.up()
        # Held, for nothing can be measured; or what was begun could not be undone. Never a release.
        assert cut.code in {4, 6}, cut.told
        assert "no SSH connection" in cut.told
        site.gate("up")
        undone = site.gate("rollback" if cut.code == 6 else "recover")
        assert undone.code == 1, undone.told
    assert site.serving() == before
    assert set(answers) == {200}
    assert [one["version"] for one in site.gate("status").document["instances"]] == [before]


def test_a_controller_without_posix_sees_what_serves(site: Remote) -> None:
    """As on Windows, which has no unix sockets: the engine's is a port there (tests/foreign)."""
    foreign = os.pathsep.join([str(HOUSE / "tests" / "foreign" / "site"), str(HOUSE)])
    status = replace(site, environment={**site.environment, "PYTHONPATH": foreign}).gate("status")
    assert (status.code, status.document["faults"]) == (0, []), status.told
    assert [one["healthy"] for one in status.document["instances"]] == [True]
