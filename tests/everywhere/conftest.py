"""The engines, one after the other, each with one project for all of its tests."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterator
from contextlib import suppress

import pytest

from tests.containers.conftest import docker_host
from tests.everywhere.defects import EVERYWHERE
from tests.everywhere.grounds import Containers, Images, Processes, gateway
from tests.everywhere.project import Ground, Project, project
from tests.everywhere.swarm_ground import Swarm
from tests.remote.conftest import remote
from tests.remote.server import Server
from tests.swarm.conftest import swarm

__all__ = ["docker_host", "remote", "swarm"]


@pytest.fixture(scope="session")
def images(docker_host: str) -> Iterator[Images]:
    made = Images(docker_host)
    yield made
    made.remove()


@pytest.fixture(scope="module", params=EVERYWHERE)
def ground(request: pytest.FixtureRequest) -> Ground:
    """One of the engines. A laptop without it skips, a CI without it fails."""
    kind = request.param
    if kind == "process":
        return Processes()
    if kind == "swarm":
        request.getfixturevalue("swarm")
        return Swarm()
    host: str = request.getfixturevalue("docker_host")
    made: Images = request.getfixturevalue("images")
    engine = {"kind": "docker", "host": host}
    if kind == "docker over SSH":
        server: Server = request.getfixturevalue("remote")
        engine = server.engine
    return Containers(kind, made, engine, gateway(host))


@pytest.fixture(scope="module")
def site(ground: Ground) -> Iterator[Project]:
    """1.0.0 was deployed, the first of all, and users came as soon as it answered."""
    with project(ground) as made:
        made.offer("1.0.0")
        with made.ordering(arriving=True) as bill:
            ran = made.deploy("1.0.0")
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        made.first = ran, bill
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After a test that failed its project is put in order, so that the next ones do not fail for it as well."""
    report = yield
    project = getattr(item, "funcargs", {}).get("site")
    if report.when == "call" and report.failed and isinstance(project, Project):
        with suppress(subprocess.TimeoutExpired):  # else no test that follows would run
            project.put_in_order()
    return report
