"""What staging builds and pushes is what production pulls: one image, one digest, one author, by the files as they are.

What is changed in them is listed in changes.py: addresses, folders, durations.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate import releases
from gate.approval import authors
from gate.config import ContainerSettings, Environment
from gate.containers.client import client
from gate.environments import load
from gate.errors import UsageError
from tests.containers.conftest import docker_host
from tests.e2e.sites import REPOSITORY, free_port
from tests.engine.site import folder
from tests.examples.changes import change, half_an_hour_ago, in_both, on_this_server, on_this_swarm
from tests.examples.relay import relay
from tests.remote.conftest import remote
from tests.remote.server import Server
from tests.swarm.conftest import REGISTRY, swarm
from tests.swarm.nodes import NODES

__all__ = ["docker_host", "remote", "swarm"]

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
VARIABLES = {
    "FRONTEND_URL": "https://shop.example",
    "DATABASE_URL": "postgresql://store:of-nobody-here@db.example:5432/store",
    "REDIS_URL": "redis://:of-nobody-here@cache.example:6379/0",
    "STORE_SECRET": "of-nobody-here-and-long-enough",
    "STORE_TRAINING_CODE": "of-nobody-here",
}


@pytest.fixture(scope="module")
def project(remote: Server, swarm: None) -> Iterator[Path]:
    """The environments and the shop, and nothing that runs but the server, the swarm and its registry."""
    with folder() as root:
        for name in ("environments", "example"):
            shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        files = root / "environments"
        host, _, port = REGISTRY.partition(":")
        with relay("127.0.0.1", (host, int(port))) as registry:  # an engine trusts one of its own machine
            team = f"t{uuid.uuid4().hex[:6]}"  # nobody has pushed there yet
            change(files, in_both(half_an_hour_ago()))
            change(files, on_this_server(remote, f"127.0.0.1:{registry}/{team}", free_port()))
            change(
                files, on_this_swarm(NODES[0].socket, f"{REGISTRY}/{team}", root / "requests.log", root / "store.env")
            )
            yield root
            for name in ("staging", "production"):
                removed(load(name, root, VARIABLES))


def removed(environment: Environment) -> None:
    """No image of these tests is left on its engine."""
    assert isinstance(environment.engine, ContainerSettings)
    docker = client(environment.engine)
    for image in docker.images.list(name=str(environment.releases.image)):
        for tag in image.tags:
            docker.images.remove(tag, force=True)


def test_production_gets_the_very_image_that_staging_built(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing could soak, and no sign-off would know who wrote it."""
    given = {"BASE": "gate-test-python:1", "COMMIT": COMMIT, "COMMIT_AUTHORS": "Dora <dora@shop.example>; Otto"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    staging, production = (load(name, project, VARIABLES) for name in ("staging", "production"))
    with pytest.raises(UsageError, match=r"no release 1\.0\.0"):  # it builds nothing
        releases.source(production).get("v1.0.0")
    built = releases.source(staging).get("v1.0.0")
    for name in given:
        monkeypatch.delenv(name)
    shutil.rmtree(project / "releases")  # of staging's gate, which may be another machine
    pulled = releases.source(production).get("v1.0.0")
    assert (built.version, built.digest) == (pulled.version, pulled.digest)
    assert pulled.digest != pulled.image, "it is the registry's, which is the same everywhere"
    assert (built.commit, pulled.commit) == (COMMIT, COMMIT)
    assert releases.faults(pulled.folder) == []
    assert authors.declared(pulled) == given["COMMIT_AUTHORS"]


def test_an_image_that_cannot_be_pushed_keeps_no_name(docker_host: str, tmp_path: Path) -> None:
    """Else it would be found the next time, and be deployed although nobody else can have it."""
    name = f"127.0.0.1:{free_port()}/store:1.0.0"
    argv = [sys.executable, str(REPOSITORY / "example" / "store" / "image.py"), "1.0.0", name, "--push"]
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    env |= {"DOCKER_HOST": docker_host, "BASE": "gate-test-python:1"}
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1, ended.stderr
    argv = ["docker", "-H", docker_host, "images", "--quiet", name]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout == ""
