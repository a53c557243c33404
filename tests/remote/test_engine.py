"""The docker engine over a real SSH connection: start, health, traffic, stop, and a connection that is lost."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gate import engines, releases
from gate.config import DockerSettings
from gate.containers.client import client
from gate.errors import EngineError, StackError
from gate.machine.shell import wait_until
from gate.redact import Secret
from gate.remote.door import Door, session
from gate.remote.proxy import RemoteProxy
from gate.remote.session import Session
from gate.remote.ssh import Connection, connection
from gate.remote.target import Target
from gate.routing import dial
from gate.routing.traffic import request_log
from tests.containers.dockered import Dockered
from tests.engine.site import folder, free_port
from tests.remote.server import Server, deployed, docker_of


@pytest.fixture(scope="module")
def here(remote: Server) -> Iterator[Dockered]:
    with deployed(remote) as made:
        made.serve("1.0.0", "r1")
        yield made


def test_a_switch_on_a_server_loses_nothing(here: Dockered) -> None:
    candidate = here.start(here.release("1.1.0"), "r2")
    assert here.probe(candidate).json()["version"] == "1.1.0"
    assert here.get().json()["version"] == "1.0.0"
    answers: list[int | str] = []
    over = threading.Event()

    def shop() -> None:
        while not over.is_set():
            try:
                answers.append(here.get().status_code)
            except httpx.HTTPError as fault:
                answers.append(repr(fault))

    customers = [threading.Thread(target=shop) for _ in range(4)]
    for customer in customers:
        customer.start()
    stable = here.engine.stable()
    assert stable is not None
    for target in (candidate, stable, candidate):
        here.engine.promote(target)
    assert here.engine.drain(stable, 10).complete
    (stopped,) = here.engine.stop(stable)
    over.set()
    for customer in customers:
        customer.join()
    assert set(answers) == {200}
    assert not stopped.killed
    here.engine.start(releases.read(Path(stable.folder)), "r1")
    assert wait_until(lambda: here.healthy(stable), timeout=30)
    here.engine.promote(stable)
    here.engine.stop(candidate)
    assert here.get().json()["version"] == "1.0.0"


def test_a_connection_that_is_lost_takes_nothing_from_the_grace_of_a_stop(here: Dockered, remote: Server) -> None:
    stubborn = here.start(here.release("1.4.0", "ignores-sigterm"), "r7")
    loses = threading.Timer(0.5, remote.hang_up)
    loses.start()
    began = time.monotonic()
    (stopped,) = here.engine.stop(stubborn, grace=5)
    assert (stopped.killed, time.monotonic() - began >= 5) == (True, True)
    loses.join()


def test_what_the_server_and_its_containers_use_is_told(here: Dockered) -> None:
    stable = here.engine.stable()
    assert stable is not None
    assert wait_until(lambda: here.engine.resources(stable) != [], timeout=10)  # a busy engine has no figures at first
    (used,) = here.engine.resources(stable)
    assert 10_000_000 < used.memory < 256 * 2**20
    host = here.engine.host()
    assert 0 <= host.cpu <= 1
    assert 0 < host.memory < 1
    assert 0 < host.disk < 1
    assert host.cores == os.cpu_count()
    facts = here.engine.facts()
    assert facts.supported, facts.detail
    assert (facts.engine, facts.proxy) == ("docker", "caddy")


def test_another_machine_finds_what_runs_and_serves(here: Dockered) -> None:
    """Nothing that is needed for a rollback lies where the gate runs."""
    with folder() as elsewhere:
        other = here.environment.model_copy(update={"engine": docker_of(here).model_copy()})
        file = elsewhere / "environments" / "test.toml"
        other.bind(
            name="test", file=file, root=elsewhere, written={}, rules=here.environment.all_rules, secrets=frozenset()
        )
        engine = engines.create(other)
        stable = engine.stable()
        assert stable is not None
        assert (stable.id, stable.version) == ("r1", "1.0.0")
        assert [one.id for one in engine.instances()] == ["r1"]
        assert all(state.healthy for state in engine.health(stable))


def test_a_dead_front_door_is_started_again_as_it_was(here: Dockered) -> None:
    door = Door(here.environment, docker_of(here))
    here.docker.containers.get(door.name).kill()
    proxy = RemoteProxy(here.environment, docker_of(here))
    assert not proxy.answers()
    with pytest.raises(EngineError):
        here.engine.stable()
    proxy.restore(20)
    assert here.get().json()["version"] == "1.0.0"


def test_the_log_of_requests_is_followed_from_here(here: Dockered) -> None:
    file = request_log(here.environment)
    seen = len(file.read_text().splitlines())
    for _ in range(5):
        assert here.get("/version?secret=hidden").status_code == 200
    assert wait_until(lambda: len(file.read_text().splitlines()) >= seen + 5, timeout=5)
    line = json.loads(file.read_text().splitlines()[-1])
    assert dial.instance_of(line["upstream"]) == "r1"
    assert "hidden" not in file.read_text()


def told(connection: Connection) -> str:
    """Why it cannot be opened; empty while it is."""
    try:
        connection.open()
    except EngineError as fault:
        return str(fault)
    return ""


def test_a_lost_connection_is_an_error_soon(here: Dockered, remote: Server) -> None:
    settings = docker_of(here).model_copy(update={"probes": f"127.0.0.1:{free_port()}"})
    lost = Connection(Target.of(settings), settings.door, back=1.0)
    lost.open()
    remote.cut()
    try:
        assert wait_until(lambda: "no SSH connection" in told(lost), timeout=30)
        assert here.get().json()["version"] == "1.0.0"  # users come by another way
    finally:
        remote.up()
    lost.open()
    lost.close()


def test_a_server_that_is_gone_for_a_moment_is_waited_for(here: Dockered, remote: Server) -> None:
    here.engine.instances()
    remote.cut()
    back = threading.Timer(1.0, remote.up)
    back.start()
    assert [one.id for one in here.engine.instances()] == ["r1"]
    back.join()


def test_a_server_whose_key_is_not_known_is_refused_with_what_to_do(remote: Server) -> None:
    empty = remote.place / "nobody_known"
    empty.touch()
    settings = DockerSettings(**{**remote.engine, "known_hosts": str(empty)})
    with pytest.raises(EngineError, match="is not known") as refused:
        client(settings)
    assert str(refused.value.next_step).startswith(f"ssh-keyscan -p {remote.port} 127.0.0.1 >> {empty}")


def test_a_server_that_does_not_let_us_in_is_said(remote: Server) -> None:
    settings = DockerSettings(**{**remote.engine, "identity": str(remote.place / "other_key")})
    with pytest.raises(EngineError, match="no SSH connection") as refused:
        client(settings)
    assert f"ssh -p {remote.port}" in str(refused.value.next_step)


def test_a_key_given_as_text_is_kept_from_everybody_and_removed(remote: Server) -> None:
    key = (remote.place / "key").read_text()
    settings = DockerSettings(**{**remote.engine, "identity": None, "key": Secret(key)})
    opened = connection(settings)
    assert client(settings).ping()
    left = sorted(file.name for file in opened.socket.parent.iterdir())
    assert left == ["control", "docker.sock"], "the key is gone once it was used"
    assert key not in repr(opened.__dict__)
    opened.close()
    assert not opened.socket.parent.exists()


def test_what_a_lost_shell_was_told_comes_no_more(here: Dockered) -> None:
    """Else a switch that hangs somewhere would overwrite the undo of it."""
    door = Door(here.environment, docker_of(here))
    shell = session(docker_of(here), door.name)
    with pytest.raises(EngineError):
        shell.run("sleep 3; touch /gate/late", (), 0.5)
    assert door.read("late") is None
    assert not wait_until(lambda: door.read("late") is not None, timeout=4, every=0.5)


def test_what_arrives_late_is_not_done(here: Dockered, remote: Server) -> None:
    """Another gate has put things right by then, and knows nothing of that shell."""
    door = Door(here.environment, docker_of(here))
    shell = Session(lambda: client(docker_of(here)), door.name, late=1.0)
    assert shell.run("echo $1", ("well",), 10) == (0, "well\n")
    remote.silence()
    try:
        with pytest.raises(EngineError):
            shell.run("touch /gate/late", (), 0.2)
        assert not wait_until(lambda: door.engine is None, timeout=4.2, every=0.2)
    finally:
        remote.speak()
    assert not wait_until(lambda: door.read("late") is not None, timeout=1, every=0.2)


def test_many_threads_that_see_a_lost_connection_open_one(here: Dockered, remote: Server) -> None:
    remote.cut()
    remote.up()
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append([one.id for one in here.engine.instances()])) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["r1"]] * 6


def test_a_port_that_somebody_else_has_is_refused(remote: Server) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        app = {"name": "busy", "url": f"http://{address}"}
        with (
            pytest.raises(StackError, match="is somebody else's already"),
            deployed(remote, app=app, traffic={"listen": address}),
        ):
            pass
