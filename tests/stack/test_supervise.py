"""Processes that outlive the gate: the lock tells the truth, whatever happened."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gate.errors import OperationFailed, ShellError
from gate.machine import shell, supervise
from gate.machine.supervise import Process
from tests.engine import disk

SLEEPS = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
# A parent with a worker that neither shares its lock nor its fate.
PREFORK = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", {SLEEPS!r}])
print(worker.pid, flush=True)
worker.wait()
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path, "some")
    yield made
    made.kill()


def start(process: Process, code: str) -> int:
    return process.start([sys.executable, "-c", code], env={"PATH": os.defpath}, cwd=process.folder)


def printed(process: Process) -> str:
    assert shell.wait_until(lambda: bool(process.tail()), timeout=10)
    return process.tail()[0]


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_lives_is_found_again_and_ends_when_asked(process: Process) -> None:
    assert not process.alive()
    pid = start(process, SLEEPS)
    again = Process(process.folder, "some")
    assert again.alive()
    assert again.pid() == pid
    assert os.getsid(pid) == pid
    ended = process.stop(5)
    assert (ended.exit_code, ended.killed) == (-signal.SIGTERM, False)
    assert not again.alive()
    assert process.stop(5).killed is False


def test_a_second_start_is_refused(process: Process) -> None:
    pid = start(process, SLEEPS)
    with pytest.raises(OperationFailed, match="runs already"):
        start(process, SLEEPS)
    assert process.pid() == pid


def test_its_end_is_seen_while_it_is_a_zombie(process: Process) -> None:
    pid = start(process, SLEEPS)
    supervise._children.pop(process.lock)  # as another gate sees it: not its child, so never collected
    os.kill(pid, signal.SIGKILL)
    assert shell.wait_until(lambda: not process.alive(), timeout=5)
    assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert process.exit_code() is None
    os.waitpid(pid, 0)


def test_who_ignores_sigterm_is_killed(process: Process) -> None:
    start(process, STUBBORN)
    assert printed(process) == "up"
    ended = process.stop(0.3)
    assert (ended.exit_code, ended.killed) == (-signal.SIGKILL, True)


def test_workers_go_with_their_parent(process: Process) -> None:
    start(process, PREFORK)
    worker = int(printed(process))
    process.stop(5)
    assert shell.wait_until(lambda: not runs(worker), timeout=5)


def test_workers_of_a_parent_that_was_killed_are_found_by_their_mark(process: Process) -> None:
    pid = start(process, PREFORK)
    worker = int(printed(process))
    os.kill(pid, signal.SIGKILL)
    assert shell.wait_until(lambda: not process.alive(), timeout=5)
    assert runs(worker)
    process.stop(5)
    assert shell.wait_until(lambda: not runs(worker), timeout=5)


def test_a_pid_nobody_vouches_for_is_not_signalled(process: Process) -> None:
    bystander = Process(process.folder, "bystander")
    pid = start(bystander, SLEEPS)
    process.lock.write_text(str(pid))  # what a recycled pid looks like
    assert process.pid() is None
    process.stop(0)
    assert bystander.alive()
    bystander.kill()


def test_a_gate_killed_before_it_wrote_the_pid_leaves_a_process_that_can_be_stopped(process: Process) -> None:
    pid = start(process, SLEEPS)
    process.lock.write_text("")
    assert process.alive()
    assert process.pid() == pid
    process.stop(5)
    assert not process.alive()


def test_a_program_that_does_not_exist_is_an_error_and_holds_nothing(process: Process) -> None:
    with pytest.raises(ShellError, match="no-such-program"):
        process.start(["no-such-program"], env={"PATH": os.defpath}, cwd=process.folder)
    assert not process.held()


def test_logs_survive_and_are_read_from_their_end(process: Process) -> None:
    start(process, "for n in range(5000): print('line', n)")
    assert process.wait(10)
    assert process.tail(2) == ["line 4998", "line 4999"]
    assert supervise.tail(process.folder / "none.log", 5) == []
    assert process.log.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_keeps_nothing_from_running_being_found_and_ending(tmp_path: Path) -> None:
    with disk.tiny(tmp_path / "disk") as place:
        disk.fill(place)
        made = Process(place / "of-it", "some")
        pid = start(made, SLEEPS)
        assert made.lock.read_text() == ""
        again = Process(place / "of-it", "some")
        assert again.alive()
        assert again.pid() == pid
        assert not again.stop(5).killed
        assert not runs(pid)


def test_the_exit_code_is_known_as_soon_as_the_end_is(process: Process) -> None:
    for _ in range(10):
        os.kill(start(process, SLEEPS), signal.SIGKILL)
        assert shell.wait_until(lambda: not process.held(), timeout=10, every=0.0001)
        assert process.exit_code() == -signal.SIGKILL
