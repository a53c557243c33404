"""A deployment to a server by SSH whose connection is cut, under users, and a look from where POSIX is missing.

What goes well there, and what a release has wrong, is tried in tests/everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gate.machine.shell import wait_until
from tests.commands.little import HOUSE
from tests.remote.project import Remote, project
from tests.remote.server import Server
from tests.team.users import shopping


@pytest.fixture(scope="module")
def site(remote: Server) -> Iterator[Remote]:
    """1.0.0 serves from a container of the server."""
    with project(remote, {"1.0.0": "", "1.3.0": "none 3"}) as made:
        made.steps("50% 10s", "100% 10s")
        yield made


@pytest.mark.whole
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
