"""The embedded stack: up, found again, started again, down; and clear words when a port is taken."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from gate.config import Environment
from gate.database import accounts
from gate.errors import StackError
from gate.machine import shell
from gate.machine.supervise import Process
from gate.stack import Stack, proxy
from tests.engine.site import folder, free_port, read, table

PASSWORD = "it's a pässword/with:@%"
QUOTED = "it%27s%20a%20p%C3%A4ssword%2Fwith%3A%40%25"


def servers(**changes: Any) -> dict[str, Any]:
    database, cache, front = free_port(), free_port(), free_port()
    return table(
        **{
            "traffic": {"listen": f"127.0.0.1:{front}", "try_duration": "0.2s"},
            "database": {"url": f"postgresql://shop:{QUOTED}@127.0.0.1:{database}/shop-data"},
            "cache": {"url": f"redis://:{QUOTED}@127.0.0.1:{cache}/0"},
            "stack": {"postgres": {"port": database}, "cache": {"port": cache}},
        }
        | changes
    )


@pytest.fixture
def environment() -> Iterator[Environment]:
    with folder() as root:
        made = read(servers(), root)
        yield made
        Stack(made).down()


def assert_all_work(environment: Environment) -> None:
    assert environment.database is not None
    assert environment.cache is not None
    with psycopg.connect(environment.database.url.reveal(), connect_timeout=5) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS proof (n int)")
    with redis.Redis.from_url(environment.cache.url.reveal(), socket_timeout=5) as client:
        assert client.set("proof", 1)
    assert httpx.get(f"http://{environment.traffic.listen}/", timeout=20, trust_env=False).status_code == 502
    assert [(part.name, part.alive) for part in Stack(environment).status()] == [
        ("postgres", True),
        ("cache", True),
        ("proxy", True),
    ]


def process(environment: Environment, name: str) -> Process:
    stack = environment.state_folder / "stack"
    return Process(stack / "postgres", "postgres") if name == "postgres" else Process(stack, name)


def pids(environment: Environment) -> dict[str, int | None]:
    return {name: process(environment, name).pid() for name in ("postgres", "cache", "proxy")}


def test_up_twice_kill_each_part_up_again_and_down(environment: Environment) -> None:
    said: list[str] = []
    assert [part.alive for part in Stack(environment).status()] == [False, False, False]
    Stack(environment).up(said.append)
    assert [line.split()[2] for line in said] == ["started", "started", "started"]
    assert_all_work(environment)
    first = pids(environment)

    said.clear()
    Stack(environment).up(said.append)
    assert [line.split()[2] for line in said] == ["runs", "runs", "runs"]
    assert pids(environment) == first

    for name, pid in first.items():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert shell.wait_until(lambda name=name: not process(environment, name).alive(), timeout=5)  # type: ignore[misc]
        Stack(environment).up()
        assert {other for other, now in pids(environment).items() if now != first[other]} == {name}
        first = pids(environment)
    assert_all_work(environment)

    Stack(environment).down(said.append)
    assert [part.alive for part in Stack(environment).status()] == [False, False, False]
    Stack(environment).down()

    Stack(environment).up()  # data stays
    assert environment.database is not None
    with psycopg.connect(environment.database.url.reveal()) as connection:
        connection.execute("SELECT n FROM proof")


def test_all_parts_killed_at_once_come_back(environment: Environment) -> None:
    Stack(environment).up()
    for pid in pids(environment).values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert shell.wait_until(lambda: not any(part.alive for part in Stack(environment).status()), timeout=5)
    Stack(environment).up()
    assert_all_work(environment)


@pytest.mark.parametrize(
    ("key", "pick"),
    [
        ("[stack.postgres] port", lambda e: e.stack.postgres.port),
        ("[stack.cache] port", lambda e: e.stack.cache.port),
        ("[traffic] listen", lambda e: int(e.traffic.listen.rpartition(":")[2])),
    ],
)
def test_a_taken_port_names_file_key_and_who_has_it(environment: Environment, key: str, pick: Any) -> None:
    port = pick(environment)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(StackError) as caught:
            Stack(environment).up()
    assert f"environments/test.toml: {key}: port {port} on 127.0.0.1 is taken" in str(caught.value)
    assert f"(pid {os.getpid()})" in str(caught.value)
    assert key in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"database": {"url": "postgresql://u:p@127.0.0.1:5/d"}}, r"\[database\] url means 127.0.0.1:5, but"),
        ({"database": {"url": "postgresql://u:p@db.example.org/d"}}, r"\[database\] url means db.example.org"),
        ({"database": None}, r"\[stack.postgres\] port needs \[database\] url"),
        ({"cache": {"url": "redis://127.0.0.1:6/0"}}, r"\[cache\] url means"),
        ({"cache": None}, r"\[stack.cache\] port needs \[cache\] url"),
    ],
)
def test_a_url_that_means_another_server_is_refused(changes: dict[str, Any], said: str) -> None:
    with folder() as root:
        content = {key: value for key, value in servers(**changes).items() if value is not None}
        broken = read(content, root)
        with pytest.raises(StackError, match=said):
            Stack(broken).up()
        assert not any(part.alive for part in Stack(broken).status())
        assert not (broken.state_folder / "stack").exists()


def test_no_password_is_on_a_command_line_or_in_a_log(environment: Environment) -> None:
    import psutil

    Stack(environment).up()
    for pid in pids(environment).values():
        assert pid is not None
        assert PASSWORD not in " ".join(psutil.Process(pid).cmdline())
    for file in (environment.state_folder / "stack").rglob("*.log"):
        assert PASSWORD not in file.read_text()
    for name in ("cache.conf", "caddy.json"):
        assert (environment.state_folder / "stack" / name).stat().st_mode & 0o777 == 0o600


def test_a_new_password_in_the_file_is_taken_over() -> None:
    with folder() as root:
        content = servers()
        before = read(content, root)
        Stack(before).up()
        for section in ("database", "cache"):
            content[section] = {"url": content[section]["url"].replace(QUOTED, "another-one")}
        after = read(content, root)
        try:
            Stack(after).up()
            assert_all_work(after)
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(before.database.url.reveal() if before.database else "", connect_timeout=5)
        finally:
            Stack(after).down()


def test_a_new_route_reaches_the_running_proxy_without_a_restart() -> None:
    with folder() as root:
        content = table()
        Stack(read(content, root)).up()
        lock = Process(root / ".gate" / "test" / "stack", "proxy")
        before = lock.pid()
        content["services"]["api"] = content["services"]["web"] | {"route": "/api"}
        after = read(content, root)
        try:
            Stack(after).up()
            assert lock.pid() == before
            httpx.get(f"{after.app.url}/api/x", timeout=20, trust_env=False)
            log = (after.state_folder / "traffic" / "access.log").read_text()
            assert '"service":"api"' in log
        finally:
            Stack(after).down()


def test_a_proxy_that_hangs_is_replaced(environment: Environment) -> None:
    Stack(environment).up()
    before = pids(environment)["proxy"]
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    Stack(environment).up()
    assert pids(environment)["proxy"] != before
    assert_all_work(environment)


@pytest.mark.parametrize(("version", "fits"), [("2.11.2", True), ("2.12.0", True), ("2.11.1", False), ("3.0.0", False)])
def test_a_proxy_that_loses_the_body_of_a_held_request_is_not_supported(version: str, fits: bool) -> None:
    found = proxy.fault(version)
    assert (found is None) == fits
    assert fits or (found is not None and version in found)


AS_ANOTHER = """
import sys
from pathlib import Path
from tests.stack.test_stack import Stack, assert_all_work, folder, read, servers
import os
assert os.geteuid() != 0
with folder() as root:
    made = read(servers(), root)
    try:
        Stack(made).up()
        assert_all_work(made)
    finally:
        Stack(made).down()
print("works")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests ran as an ordinary user already")
def test_an_ordinary_user_needs_nothing_more() -> None:
    argv = accounts.namespaced().argv(sys.executable, "-c", AS_ANOTHER)
    assert shell.run(argv, timeout=60, cwd=Path(__file__).parents[2]).out.strip() == "works"
