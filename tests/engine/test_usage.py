"""The load of the machine: others' counts, the gate's own does not."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from gate.engines.usage import Machine, Meter, Spent, shares
from gate.machine import shell

BURN = "while True: pass"


@pytest.mark.parametrize(
    ("idle", "own", "cpu", "part"),
    [
        (10, 0, 0.0, 0.0),  # nothing runs
        (0, 0, 1.0, 0.0),  # others take all
        (0, 10, 1.0, 1.0),  # nothing is left to see others by
        (5, 5, 0.0, 0.5),  # only we do anything
        (0, 5, 1.0, 0.5),  # others take all that we leave: half of the machine, and they would take more
        (2, 5, 0.6, 0.5),
        (10, -3, 0.0, 0.0),  # one of ours has ended where nobody counts it
    ],
)
def test_shares(idle: float, own: float, cpu: float, part: float) -> None:
    assert shares(Spent(100, 50, 20), Spent(110, 50 + idle, 20 + own)) == pytest.approx((cpu, part))


def load(machine: Machine, disk: Path) -> tuple[float, float]:
    machine.read(disk)
    threading.Event().wait(1)
    host = machine.read(disk)
    return host.cpu, host.own


def test_our_own_load_and_others(tmp_path: Path) -> None:
    cores = psutil.cpu_count() or 1
    ours = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(cores)]
    try:
        _, own = load(Machine(), tmp_path)
    finally:
        for process in ours:
            process.kill()
            process.wait()
    # As a service that runs already: its parent is gone.
    theirs = f"for n in $(seq {cores}); do {sys.executable} -c '{BURN}' >&- 2>&- & echo $!; done"
    pids = list(map(int, shell.run(["/bin/sh", "-c", theirs], timeout=10).out.split()))
    try:
        assert shell.wait_until(lambda: psutil.Process(pids[0]).ppid() == 1, timeout=5)
        cpu, own_beside = load(Machine(), tmp_path)
    finally:
        for pid in pids:
            psutil.Process(pid).kill()
    assert own > 0.3, "a machine with other tests on it leaves us that much"
    assert cpu > 0.7
    assert own_beside < own


def test_a_process_that_is_not_seen_here_has_no_figures() -> None:
    """It has ended, or is one of a virtual machine's: 0 would be well below every limit."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert Meter().read(ended.pid) is None
