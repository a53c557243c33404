"""The engine over two real servers: a switch, one that only one of them makes, and a server that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gate import engines
from gate.config import DockerSettings, Environment
from gate.containers.client import client, listed
from gate.engines.base import Engine, Instance, Split
from gate.errors import EngineError
from gate.machine.shell import wait_until
from gate.releases import source
from gate.routing.traffic import request_log
from gate.stack import Stack
from gate.watching import serving
from tests.containers.dockered import IMAGE, Dockered, service
from tests.engine.site import folder, free_port, read, table
from tests.hosts.dying import over_both
from tests.remote.server import Server, removed

BOTH = ("10.79.1.2", "10.79.2.2")
_PATIENCE = 240.0  # seconds; the machine may be busy, and nobody waits longer than it takes


class Two:
    """An environment on both; ``old`` serves, ``new`` runs beside it. Their images were built on the first."""

    def __init__(self, environment: Environment) -> None:
        docker = environment.engine
        assert isinstance(docker, DockerSettings)
        self.environment, self.docker = environment, docker.each
        self.engine: Engine = engines.create(environment)
        self.building = Dockered(environment.derived({"engine": docker.each[0]}, []))
        self.old = self.start("2.0.0", "r1")
        self.engine.promote(self.old)
        self.new = self.start("2.1.0", "r2")

    def start(self, version: str, name: str) -> Instance:
        self.building.release(version, version)
        instance = self.engine.start(source(self.environment).get(version), name)
        assert wait_until(lambda: self.healthy(instance), timeout=_PATIENCE), self.engine.health(instance)
        return instance

    def healthy(self, instance: Instance) -> bool:
        return all(state.healthy for state in self.engine.health(instance))

    def everywhere(self) -> list[str]:
        """The version that each server's users get."""
        port = self.environment.app.url.rpartition(":")[2]
        urls = [f"http://{address}:{port}/version" for address in BOTH]
        return [httpx.get(url, timeout=20, trust_env=False).json()["version"] for url in urls]


@pytest.fixture(scope="module")
def two(servers: tuple[Server, Server]) -> Iterator[Two]:
    port = free_port()
    tables: dict[str, Any] = {
        "app": {"name": f"tiny{port}", "url": f"http://{BOTH[0]}:{port}"},
        "traffic": {"listen": f"0.0.0.0:{port}"},
        "releases": {"source": "releases", "image": IMAGE},
        "services": {"web": service()},
        "engine": {**servers[0].engine, "hosts": [server.host for server in servers]},
    }
    del tables["engine"]["host"]
    with folder() as root:
        environment = read(table(**tables), root)
        assert isinstance(environment.engine, DockerSettings)
        try:
            Stack(environment).up()
            yield Two(environment)
        finally:
            for docker in environment.engine.each:
                removed(environment, docker)


def test_each_server_tells_for_itself(two: Two) -> None:
    names = {state.name.partition(":")[0] for state in two.engine.health(two.new)}
    assert names == {f"web on {address}" for address in BOTH}
    facts = two.engine.facts()
    assert facts.supported, facts.detail
    assert all(f" on {address}" in facts.engine_version for address in BOTH)


def test_what_the_second_one_refuses_after_the_first_has_switched_is_taken_back(two: Two) -> None:
    def refuse() -> None:
        raise EngineError("no room")

    with pytest.raises(EngineError, match="no room; taken back on"):
        over_both(two.environment, refuse).promote(two.new)
    assert two.everywhere() == ["2.0.0", "2.0.0"]


def test_a_candidate_that_dies_on_one_of_them_gets_no_traffic_on_any(two: Two) -> None:
    (container,) = listed(client(two.docker[1]), label="deploy-gate.instance=r2")
    container.kill()
    with pytest.raises(EngineError, match=f"r2 .* gets no traffic: web on {BOTH[1]}"):
        two.engine.promote(two.new)
    assert two.everywhere() == ["2.0.0", "2.0.0"]
    container.start()
    assert wait_until(lambda: two.healthy(two.new), timeout=_PATIENCE)


def test_a_switch_and_its_requests_are_seen_on_both(two: Two) -> None:
    two.engine.promote(two.new)
    assert two.everywhere() == ["2.1.0", "2.1.0"]
    log = request_log(two.environment)
    assert wait_until(lambda: log.exists() and log.read_text().count('"/version"') >= 2, timeout=20)


def test_a_server_that_is_lost_on_the_way_back_is_told_and_led_back_later(
    two: Two, servers: tuple[Server, Server]
) -> None:
    log = request_log(two.environment)
    servers[1].cut()
    try:
        with pytest.raises(EngineError, match=BOTH[1]):
            two.engine.promote(two.old)
        seen = serving.look(two.engine)
        assert (seen.runs, seen.unknown) == (False, True)
        assert BOTH[1] in seen.fault
        assert two.everywhere() == ["2.0.0", "2.1.0"], "users come by another way"
        assert wait_until(lambda: not log.exists(), timeout=30), "half of the users are not all of them"
    finally:
        servers[1].up()
    with pytest.raises(Split, match=f"2.1.0 .r2. on {BOTH[1]}"):
        two.engine.stable()
    two.engine.promote(two.old)
    assert two.everywhere() == ["2.0.0", "2.0.0"]
    assert wait_until(log.exists, timeout=30)
