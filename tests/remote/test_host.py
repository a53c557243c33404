"""The server as cases see it: testinfra by the engine's one SSH connection, in time, also when that is lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fixtures.host import answered, machines
from gate.errors import EngineError
from gate.machine.shell import wait_until
from gate.redact import Secret
from gate.remote.ssh import Connection
from gate.remote.target import Target
from tests.checks.projects import REPOSITORY
from tests.containers.dockered import Dockered, dockered, service
from tests.engine.site import read, table
from tests.remote.server import Server, docker_of


@pytest.fixture(scope="module")
def here(remote: Server) -> Iterator[Dockered]:
    """An environment of the server; nothing is started there."""
    with dockered("", engine=remote.engine) as made:
        yield made


@pytest.fixture
def host(here: Dockered) -> Any:
    (made,) = machines(here.environment).values()
    return made


def let_in(remote: Server) -> int:
    """How often the server has let somebody in."""
    return (remote.place / "log").read_text().count("Accepted publickey")


def test_what_is_asked_goes_by_the_connection_that_is_open(here: Dockered, host: Any, remote: Server) -> None:
    assert host.check_output("echo %s", "it's") == "it's"
    before = let_in(remote)
    assert here.docker.ping()
    assert host.run("echo told; echo said >&2; exit 7").stderr.endswith("said\n")
    own = host.run("echo said >&2; exit 255")
    assert own.stderr.endswith("said\n"), "behind the server's own lines"
    assert own.rc == 255, "the command's own code: the connection is there"
    assert host.file(str(remote.place / "key")).mode == 0o600
    assert host.file("/").is_directory
    assert host.backend.get_hostname() == f"127.0.0.1:{remote.port}"
    assert let_in(remote) == before


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_key_given_as_text_lets_commands_in_too(here: Dockered, remote: Server, in_memory: bool, ends: str) -> None:
    key = Secret((remote.place / "key").read_text().replace("\n", ends))
    docker = docker_of(here).model_copy(update={"identity": None, "key": key})
    opened = Connection(Target.of(docker), None, in_memory=in_memory)
    try:
        assert opened.run("echo $((1 + 1))", timeout=10).out == "2\n"
        assert not (opened.socket.parent / "key").exists()
    finally:
        opened.close()
    assert not opened.socket.parent.exists()


def test_the_agent_s_key_lets_commands_in(
    here: Dockered, remote: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serves = ["ssh-agent", "-D", "-a", str(tmp_path / "agent")]
    adds = ["ssh-add", "-q", str(remote.place / "key")]
    agent = subprocess.Popen(serves, stdout=subprocess.DEVNULL)
    try:
        assert wait_until((tmp_path / "agent").is_socket, timeout=10)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        docker = docker_of(here).model_copy(update={"identity": None, "key": None})
        with pytest.raises(EngineError), closing(Connection(Target.of(docker), None)) as without:
            without.run("true", timeout=10)
        subprocess.run(adds, check=True, timeout=20)
        with closing(Connection(Target.of(docker), None)) as opened:
            assert opened.run("echo $((1 + 1))", timeout=10).out == "2\n"
    finally:
        agent.kill()
        agent.wait()


def test_a_command_ends_in_time(here: Dockered, remote: Server) -> None:
    opened = Connection(Target.of(docker_of(here)), None)
    try:
        began = time.monotonic()
        with pytest.raises(EngineError, match="did not end within"):
            opened.run("sleep 60", timeout=0.5)
        assert time.monotonic() - began < 15
        assert opened.run("echo again", timeout=10).out == "again\n"
    finally:
        opened.close()


def test_a_lost_connection_cannot_tell_and_is_opened_again(host: Any, remote: Server) -> None:
    assert host.run("true").rc == 0
    cut = threading.Timer(0.5, remote.cut)
    cut.start()
    try:
        began = time.monotonic()
        told, why = answered(lambda: host.check_output("sleep 60"))
        assert (told, "SSH connection" in why) == (None, True), why
        assert time.monotonic() - began < 29, "before the command's own time is up"
        cut.join()
        _, why = answered(lambda: host.check_output("echo nobody"))
        assert "SSH connection" in why
    finally:
        remote.up()
    assert answered(lambda: host.check_output("echo back")) == ("back", "")


def test_a_server_whose_key_is_not_known_is_asked_nothing(here: Dockered, remote: Server) -> None:
    empty = remote.place / "known_to_nobody"
    empty.touch()
    unknown = docker_of(here).model_copy(update={"known_hosts": str(empty)})
    (host,) = machines(here.environment.model_copy(update={"engine": unknown})).values()
    _, why = answered(lambda: host.check_output("echo in"))
    assert "is not known" in why


def test_several_servers_have_a_name_each() -> None:
    """Nothing is connected until somebody asks."""
    servers = ["ssh://deploy@a.example", "ssh://deploy@b.example:2222"]
    engine = {"kind": "docker", "hosts": servers}
    releases = {"source": "releases", "image": "store"}
    made = read(table(engine=engine, releases=releases, services={"web": service()}), REPOSITORY)
    assert list(machines(made)) == ["a.example", "b.example:2222"]
    assert list(machines(read(table(), REPOSITORY))) == ["this machine"]


def while_it_connects(folder: Path, seen: str, options: str = "") -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A gate that waits for a server which never answers, once there is what ``seen`` names, and that server."""
    silent = socket.create_server(("127.0.0.1", 0))
    code = f"""
import pathlib, sys, threading
from gate.machine.shell import wait_until
from gate.remote.ssh import Connection
from gate.remote.target import Target
to = Target("127.0.0.1", {silent.getsockname()[1]}, None, "/s", None, "a key", None)
made = Connection(to, None{options})
threading.Thread(target=made.open, daemon=True).start()
assert wait_until(lambda: list(pathlib.Path({str(folder)!r}).glob({seen!r})), timeout=20)
silent = sys.stdin.readline()
"""
    argv = [sys.executable, "-c", code]
    env = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen(argv, cwd=REPOSITORY, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE), silent


def test_a_key_given_as_text_is_gone_when_the_gate_ends_while_it_connects(tmp_path: Path) -> None:
    """In a thread of its own, which nobody waits for; where a key has to lie on a disk."""
    gate, silent = while_it_connects(tmp_path, "gate-ssh-*/key", ", in_memory=False")
    with gate, silent:
        link, _ = silent.accept()  # ssh is there, and waits
        with link:
            _, said = gate.communicate(b"\n", timeout=30)
    assert (gate.returncode, said) == (0, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system keeps every file on a disk")
def test_nothing_is_left_of_a_key_given_as_text_when_the_gate_is_killed_while_it_connects(tmp_path: Path) -> None:
    gate, silent = while_it_connects(tmp_path, "gate-ssh-*")
    with gate, silent:
        link, _ = silent.accept()
        with link:
            gate.kill()
            gate.wait(timeout=20)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
