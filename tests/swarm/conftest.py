"""A real swarm of three nodes, which tests/swarm/setup starts, and a project whose service runs on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gate.containers.client import at
from gate.shell import wait_until
from tests.e2e.sites import Site
from tests.engine.site import folder, free_port
from tests.team.conftest import CHECK, SMOKE

PLACE = Path(os.environ.get("GATE_TEST_SWARM", "/var/tmp/gate-test-swarm"))  # noqa: S108
REGISTRY = "10.77.0.1:5077"
HERE = Path(__file__).parent
HOUSE = HERE.parents[1]
ENVIRONMENT = """
[app]
name = "tiny"
url = "http://127.0.0.1:{port}"

[releases]
source = "releases"
image = "{image}"

[engine]
kind = "swarm"
host = "unix://{socket}"
stack = "{stack}"
monitor = "2s"
timeout = "90s"
requests = "run/requests.log"

[traffic]
steps = ["100% 3s"]

[checks]
folders = ["checks"]

[smoke]
folders = ["smoke"]

[services.web]
route = "/"
health = "/health"
identity = "/version#version"
start_timeout = "60s"
"""


def node(number: int) -> Path:
    """The socket of a node's engine."""
    return PLACE / str(number) / "docker.sock"


@pytest.fixture(scope="session")
def swarm() -> str:
    """Skips without one, in CI too: the engine is begun, and CI's time is short (docs/swarm.md)."""
    if not node(1).is_socket():
        pytest.skip("no swarm for the tests: tests/swarm/setup starts one")
    return str(node(1))


class Swarmed(Site):
    """The project, and what a person would look at in the swarm."""

    stack: str
    manager: int

    @property
    def api(self) -> Any:
        return at(f"unix://{node(self.manager)}").api

    def release(self, version: str, fault: str = "") -> None:
        """Builds and pushes an image."""
        engine = at(f"unix://{node(1)}")
        with folder() as place:
            shutil.copy(HERE.parent / "team" / "app.py", place / "app.py")
            (place / "fault").write_text(fault)
            (place / "name").write_text(version)
            (place / "Dockerfile").write_text(
                "FROM gate-test-python:1\nCOPY app.py fault name /app/\nUSER 10001\n"
                'CMD ["python3", "/app/app.py", "8000", "/dev/null", "0.0.0.0"]\n'
            )
            name = f"{self.image}:{version}"
            engine.images.build(path=str(place), rm=True, tag=name)
            pushed = engine.images.push(self.image, tag=version)
        assert "digest: sha256:" in pushed, pushed

    @property
    def image(self) -> str:
        return f"{REGISTRY}/{self.stack}"

    def running(self) -> list[str]:
        """Versions of the running tasks."""
        tasks = self.api.tasks(filters={"service": f"{self.stack}_web", "desired-state": "running"})
        images = [one["Spec"]["ContainerSpec"]["Image"] for one in tasks if one["Status"]["State"] == "running"]
        return sorted(image.partition("@")[0].rpartition(":")[2] for image in images)


@contextmanager
def swarmed(manager: int = 1) -> Iterator[Swarmed]:
    """A service of three tasks that was made by hand, with a balancer in front of it; a manager the gate talks to."""
    with folder() as root:
        port = free_port()
        made = Swarmed(root, f"http://127.0.0.1:{port}", {**os.environ, "PYTHONPATH": str(HOUSE)})
        made.stack, made.manager = f"t{uuid.uuid4().hex[:6]}", manager
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        (root / "run").mkdir()
        for name, text in (("checks/test_made_up.py", CHECK), ("smoke/test_made_up.py", SMOKE)):
            (root / name).parent.mkdir()
            (root / name).write_text(text)
        (root / "environments").mkdir()
        text = ENVIRONMENT.format(port=port, image=made.image, socket=node(manager), stack=made.stack)
        (root / "environments" / "local.toml").write_text(text)
        made.release("0.9.0")
        by_hand(manager, made)
        argv = [
            sys.executable,
            str(HERE / "balancer.py"),
            str(port),
            f"{made.stack}_web",
            str(root / "run/requests.log"),
        ]
        balancer = subprocess.Popen([*argv, *(str(node(number)) for number in (1, 2, 3))])
        try:
            assert wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, timeout=10)
            assert wait_until(lambda: made.serving() == "0.9.0", timeout=30)
            yield made
        finally:
            balancer.send_signal(signal.SIGKILL)
            balancer.wait()
            docker(manager, "service", "rm", f"{made.stack}_web", check=False)


def docker(manager: int, *words: str, check: bool = True) -> str:
    argv = ["docker", "-H", f"unix://{node(manager)}", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=check).stdout


def by_hand(manager: int, made: Swarmed) -> None:
    """As the team's stack file would; without ip_vs in the kernel there is neither a mesh nor a virtual address."""
    docker(
        manager, "service", "create", "--detach", "--name", f"{made.stack}_web", "--replicas", "3",
        "--init", "--endpoint-mode", "dnsrr", "--publish", "mode=host,target=8000", "--restart-delay", "1s",
        f"{made.image}:0.9.0",
    )  # fmt: skip
    assert wait_until(lambda: made.running() == ["0.9.0"] * 3, timeout=60), made.running()
