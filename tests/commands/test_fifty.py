"""Fifty gates at once on one environment: one deploys, the others say who does and touch nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gate.database.cluster import scratch
from gate.machine.shell import wait_until
from tests.commands.little import Little, little
from tests.e2e.sites import Ran, Site

GATES = 50
# The one that deploys waits here until the others have ended.
WAITS = """
    import pathlib, threading
    for _ in range(2400):
        if pathlib.Path("go").exists(): break
        threading.Event().wait(0.05)
    else:
        pytest.fail("nobody said go")
"""


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.whole)])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Little]:
    """With its records in a file, and in a server."""
    with ExitStack() as stack:
        state = ""
        if request.param == "postgres":
            state = stack.enter_context(scratch(tmp_path)).url("postgres").reveal()
        yield stack.enter_context(little(state=state))


def test_fifty_gates(here: Little) -> None:
    here.release("1.0.0")
    here.smoke(WAITS)
    gates = [here.start("--version", "1.0.0") for _ in range(GATES)]
    try:
        one_left = wait_until(lambda: sum(gate.poll() is None for gate in gates) <= 1, timeout=120)
        (here.root / "go").touch()
        assert one_left, "the others did not end while one deployed"
        ended = [_ended(gate) for gate in gates]
    finally:
        for gate in gates:
            gate.kill()
    codes = sorted(ran.code for ran in ended)
    assert codes == [0] + [5] * (GATES - 1), next(ran.told for ran in ended if ran.code not in (0, 5))
    refused = [ran for ran in ended if ran.code == 5]
    assert all("another run holds this environment: " in ran.reasons for ran in refused)
    assert sum("deploying 1.0.0 by " in ran.reasons for ran in refused) >= GATES // 2, "they say who and what"
    history = here.gate("history").document["deployments"]
    assert [item["outcome"] for item in history] == ["RELEASED"]


def _ended(gate: subprocess.Popen[str]) -> Ran:
    out, err = gate.communicate(timeout=120)
    return Site.read(gate.returncode, out, err)
