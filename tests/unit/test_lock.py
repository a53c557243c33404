"""The lock of an environment: of one machine, and of several that share their records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest
import sqlalchemy as sa

from gate.config import Environment
from gate.database.cluster import Cluster, scratch
from gate.environments import load
from gate.errors import Locked, OperationFailed
from gate.machine.shell import wait_until
from gate.records.advisory import AdvisoryLock, Holder
from gate.records.lock import LOOKS, Lock
from gate.records.postgres import PostgresSchema, schema_name
from tests.commands.little import ENVIRONMENT, HOUSE

HOLDS = """
import sys
from pathlib import Path
from gate.environments import load
from gate.errors import Locked
from gate.records.lock import Lock
try:
    with Lock(load("local", Path(sys.argv[1]))).held("deploying 1.0.0"):
        print("held", flush=True)
        sys.stdin.read()
except Locked as fault:
    print(fault, flush=True)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with scratch(tmp_path_factory.mktemp("s")) as made:
        yield made


@pytest.fixture(params=["file", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the records lie: nowhere but in the folder, or on a server; it is empty again afterwards."""
    if request.param == "file":
        yield ""
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    yield cluster.url("postgres").reveal()
    engine = PostgresSchema(cluster.url("postgres"), schema_name("tiny", "local")).connectable()
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema_name("tiny", "local"), cascade=True, if_exists=True))


def machine(root: Path, url: str) -> Environment:
    """The environment as one machine has it: a folder of its own, and the server if there is one."""
    file = root / "environments" / "local.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(ENVIRONMENT.format(port=18099) + (f'\n[state]\nurl = "{url}"\n' if url else ""))
    return load("local", root)


@contextmanager
def holding(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock, or says who does."""
    argv = [sys.executable, "-c", textwrap.dedent(HOLDS), str(root)]
    environment = {**os.environ, "PYTHONPATH": str(HOUSE)}
    with subprocess.Popen(argv, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def shared(environment: Environment) -> AdvisoryLock:
    assert environment.state.url is not None
    return AdvisoryLock(PostgresSchema(environment.state.url, schema_name("tiny", "local")))


def test_one_holds_it_and_the_next_is_told_who(tmp_path: Path, url: str) -> None:
    here = machine(tmp_path, url)
    with holding(tmp_path) as process:
        assert said(process) == "held"
        with pytest.raises(Locked, match=rf"deploying 1.0.0 by .*\(process {process.pid}\) since 20"):
            Lock(here).held("another").__enter__()
        assert f"(process {process.pid})" in (Lock(here).holder() or "")
        with pytest.raises(Locked):
            Lock(here).free()
    assert wait_until(lambda: Lock(here).holder() is None, timeout=10)


def test_it_is_free_the_moment_its_holder_is_killed(tmp_path: Path, url: str) -> None:
    here = machine(tmp_path, url)
    with holding(tmp_path) as process:
        assert said(process) == "held"
        process.send_signal(signal.SIGKILL)
        assert wait_until(lambda: Lock(here).holder() is None, timeout=10)
        with Lock(here).held("after it") as _:
            assert "after it" in (Lock(here).holder() or "")
    assert Lock(here).free() == "nobody holds it"


def test_a_look_and_a_run_do_not_meet_and_two_looks_do(tmp_path: Path, url: str) -> None:
    here = machine(tmp_path / "here", url)
    there = machine(tmp_path / "there", url) if url else here
    with Lock(here).held("deploying 1.0.0"):
        with Lock(here, LOOKS).held("looking"), pytest.raises(Locked):
            Lock(there, LOOKS).held("looking").__enter__()
        with Lock(there, LOOKS).held("looking"):
            assert "deploying 1.0.0 by " in (Lock(there).holder() or "")
        assert "deploying 1.0.0 by " in (Lock(there).holder() or ""), "a look wipes nothing out"


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_of_fifty_machines_one_holds_it(tmp_path: Path, url: str) -> None:
    """Each has a folder of its own, so only the server keeps them apart; it has not seen any of them before."""
    here = machine(tmp_path, url)
    answers: SimpleQueue[str] = SimpleQueue()
    all_asked = threading.Barrier(50)

    def gate() -> None:
        try:
            with shared(here).held("deploying"):
                answers.put("held")
                all_asked.wait(60)
        except Locked as fault:
            answers.put(str(fault))
            all_asked.wait(60)

    threads = [threading.Thread(target=gate) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    found = sorted(answers.get(timeout=1) for _ in threads)
    assert found.count("held") == 1
    assert sum("another run holds this environment: " in answer for answer in found) == 49


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_lost_connection_is_a_lost_lock(tmp_path: Path, url: str) -> None:
    here = machine(tmp_path, url)
    lock = Lock(here)
    with lock.held("deploying"):
        lock.demand()
        found = shared(here).holder()
        assert found is not None
        shared(here).end(found)
        with pytest.raises(OperationFailed, match="lock of this environment was lost"):
            lock.demand()


def test_a_lock_whose_file_was_replaced_is_not_ours(tmp_path: Path) -> None:
    here = machine(tmp_path, "")
    lock = Lock(here)
    with lock.held("deploying"):
        lock.demand()
        file = here.state_folder / "lock"
        file.unlink()
        with pytest.raises(OperationFailed, match="was replaced"):
            lock.demand()
        file.touch()
        with pytest.raises(OperationFailed, match="was replaced"):
            lock.demand()


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_session_that_outlives_its_process_is_ended_by_unlock(tmp_path: Path, url: str) -> None:
    """As after a power cut: the server still waits for a machine that has forgotten."""
    here = machine(tmp_path, url)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    assert ended.wait(30) == 0
    with Lock(here).held("deploying 1.0.0"), shared(here)._place.connectable().begin() as connection:
        (here.state_folder / "lock").unlink()  # the kernel's lock went with the process
        with pytest.raises(Locked, match="which runs on this machine"):
            Lock(here).free()
        connection.execute(sa.text("UPDATE lock_holder SET process = :gone"), {"gone": ended.pid})
        connection.commit()
        assert "whose process is gone: freed" in Lock(here).free()
        assert wait_until(lambda: Lock(here).holder() is None, timeout=10)
    assert Lock(here).free() == "nobody holds it"


@pytest.mark.parametrize(
    ("host", "boot", "process", "gone"),
    [
        ("", "", 0, False),
        ("elsewhere", "x", 999999999, False),
        ("elsewhere", None, 999999999, False),
        (None, "another pid:[1]", 999999999, False),  # of another machine with this one's name, or of this one before
        (None, "{boot} pid:[1]", 999999999, False),  # in a container beside us
        (None, "", 999999999, False),
        (None, None, 1, False),
        (None, None, 999999999, True),
    ],
)
def test_who_is_provably_gone(host: str | None, boot: str | None, process: int, gone: bool) -> None:
    import socket

    kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    mine = f"{kernel} {Path('/proc/self/ns/pid').readlink()}"
    there = socket.gethostname() if host is None else host
    then = mine if boot is None else boot.format(boot=kernel)
    assert Holder(1, "x", there, then, process).gone is gone


def test_without_the_server_only_this_machine_is_locked(tmp_path: Path) -> None:
    """A rollback must not wait for records that cannot be used."""
    here = machine(tmp_path, "postgresql://nobody:secret7@127.0.0.1:1/nothing")
    with pytest.raises(OperationFailed, match="cannot be used"):
        Lock(here).held("deploying").__enter__()
    lock = Lock(here)
    with lock.held("rolling back", alone=True):
        lock.demand()
        with pytest.raises(Locked):
            Lock(here).held("another", alone=True).__enter__()


def test_whoever_looks_stops_nobody(tmp_path: Path) -> None:
    lock, looks = Lock(machine(tmp_path, "")), threading.Event()

    def look() -> None:
        while not looks.is_set():
            Lock(machine(tmp_path, "")).holder()

    with lock.held("once"):
        pass
    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(200):
            with lock.held("deploying"):
                pass
    finally:
        looks.set()
        looking.join()


def test_a_rival_is_whoever_took_a_lock_that_was_lost(tmp_path: Path) -> None:
    here = machine(tmp_path, "")
    lock = Lock(here)
    with lock.held("deploying"):
        assert lock.rival() is None
        (here.state_folder / "lock").unlink()
        assert lock.rival() is None, "lost, and nobody has it"
        with Lock(here).held("recovering"):
            assert str(lock.rival()).startswith("recovering by ")


def test_a_holder_that_cannot_be_told_is_said(tmp_path: Path) -> None:
    here = machine(tmp_path, "")
    (here.state_folder / "lock").mkdir(parents=True)
    with pytest.raises(OperationFailed, match=r"lock: who holds it cannot be told: Is a directory"):
        Lock(here).holder()
