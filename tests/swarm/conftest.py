"""A real swarm of three nodes, which tests/swarm/setup starts, and a project whose service runs on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gate.containers.client import at
from gate.machine.shell import wait_until
from tests.e2e.sites import Site
from tests.engine.site import folder, free_port
from tests.swarm.book import Book, book
from tests.swarm.nodes import NODES, OUTSIDE, Node, all_there
from tests.team.conftest import CHECK, SMOKE
from tests.team.users import Bill

REGISTRY = f"{OUTSIDE}:5077"
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
monitor = "{monitor}"
timeout = "{timeout}"
requests = "run/requests.log"

[traffic]
steps = ["100% 4s"]

[checks]
folders = ["checks"]

[smoke]
folders = ["smoke"]

[services.web]
route = "/"
health = "/health"
identity = "/version#version"
start_timeout = "60s"

# On a busy machine users are few and slow: that is not what is judged here, and none may fail anyway.
[[rules]]
signal = "error_rate"
go = "<= 5%"
rollback = "> 50%"
min_n = 20

[[rules]]
signal = "log_error_rate"
go = "<= 5%"
rollback = "> 50%"
min_n = 20

[[rules]]
signal = "response_time"
go = "< 20s"
rollback = "> 30s"
"""

DOCKERFILE = """FROM gate-test-base:1
RUN ["python3", "-c", "import http.client, http.server, json"]
COPY app.py fault name /app/
USER 10001
HEALTHCHECK --interval=1s --timeout=30s --start-period=300s --retries=5 \\
  CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8000/health"]
CMD ["python3", "/app/app.py", "8000", "/dev/null", "0.0.0.0", "{book}"]
"""
"""Starts soon, and has its time: a machine that is busy is no fault of the release."""


@pytest.fixture(scope="session")
def swarm() -> None:
    """A laptop without one skips, a CI without one fails."""
    if not NODES[0].answers():
        missing = "no swarm for the tests: tests/swarm/setup starts one"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    all_there()


class Swarmed(Site):
    """The project, and what a person would look at in the swarm."""

    stack: str
    manager: Node
    book: Book

    @property
    def api(self) -> Any:
        return self.manager.api

    def asks(self, manager: Node, *, timeout: str = "180s", monitor: str = "500ms") -> None:
        """Which manager the gate asks, and how long an update may take, and a task of it be watched."""
        self.manager = manager
        text = ENVIRONMENT.format(
            port=self.url.rpartition(":")[2],
            image=self.image,
            socket=manager.socket,
            stack=self.stack,
            timeout=timeout,
            monitor=monitor,
        )
        (self.root / "environments" / "local.toml").write_text(text)

    def release(self, version: str, fault: str = "") -> None:
        """Builds and pushes an image."""
        self.build(version, fault)
        self.push(version)

    def build(self, version: str, fault: str = "") -> None:
        """Makes an image that the first node alone has."""
        with folder() as place:
            shutil.copy(HERE.parent / "team" / "app.py", place / "app.py")
            (place / "fault").write_text(fault)
            (place / "name").write_text(version)
            (place / "Dockerfile").write_text(DOCKERFILE.format(book=self.book.address))
            images = at(f"unix://{NODES[0].socket}").images
            images.build(path=str(place), rm=True, tag=f"{self.image}:{version}")

    def push(self, version: str) -> None:
        """Gives an image to the registry."""
        pushed = at(f"unix://{NODES[0].socket}").images.push(self.image, tag=version)
        assert "digest: sha256:" in pushed, pushed

    @property
    def image(self) -> str:
        return f"{REGISTRY}/{self.stack}"

    def running(self) -> list[str]:
        """Versions of the running tasks."""
        return sorted(version for version, _ in self.placed())

    def placed(self) -> list[tuple[str, str]]:
        """Version and node of each running task."""
        names = {one["ID"]: one["Description"]["Hostname"] for one in self.api.nodes()}
        tasks = self.api.tasks(filters={"service": f"{self.stack}_web", "desired-state": "running"})
        return [
            (one["Spec"]["ContainerSpec"]["Image"].partition("@")[0].rpartition(":")[2], names[one["NodeID"]])
            for one in tasks
            if one["Status"]["State"] == "running"
        ]

    def service(self) -> Any:
        return self.api.inspect_service(f"{self.stack}_web")

    def answered(self, version: str) -> bool:
        """Whether users have had an answer of a version, so that their balancer knows where it listens."""
        return f'"release": "{version}"' in (self.root / "run/requests.log").read_text()

    def runs(self, version: str, node: Node) -> bool:
        """Whether a node runs a version while others still run another one: an update is under way."""
        placed = self.placed()
        return (version, node.name) in placed and {one for one, _ in placed} != {version}

    def tasks(self, version: str) -> list[Any]:
        """All that Swarm remembers of a version, the oldest first."""
        tasks = self.api.tasks(filters={"service": f"{self.stack}_web"})
        fitting = [one for one in tasks if f":{version}@" in one["Spec"]["ContainerSpec"]["Image"]]
        return sorted(fitting, key=lambda one: str(one["CreatedAt"]))

    def kill(self, task: Any) -> None:
        """kill -9 of what runs in its container."""
        name = self.api.inspect_node(task["NodeID"])["Description"]["Hostname"]
        node = next(one for one in NODES if one.name == name)
        node.api.kill(task["Status"]["ContainerStatus"]["ContainerID"])

    def preparing(self, version: str, node: Node) -> bool:
        """Whether a node has been given a task of a version that it cannot start yet."""
        ids = [one["ID"] for one in self.api.nodes() if one["Description"]["Hostname"] == node.name]
        states = [one["Status"]["State"] for one in self.tasks(version) if one.get("NodeID") in ids]
        return "preparing" in states


def nothing_lost(site: Swarmed, bill: Bill) -> None:
    """Every order was acknowledged, and every one that was is kept."""
    assert set(bill.answers) == {201}, Counter(bill.answers)
    assert site.book.lost(bill.acknowledged) == []


@contextmanager
def swarmed() -> Iterator[Swarmed]:
    """A service of three tasks that was made by hand, with a balancer in front of it."""
    with folder() as root, book(OUTSIDE) as orders:
        port = free_port()
        made = Swarmed(root, f"http://127.0.0.1:{port}", {**os.environ, "PYTHONPATH": str(HOUSE)})
        made.stack, made.book = f"t{uuid.uuid4().hex[:6]}", orders
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        for name in ("run", "environments", "checks", "smoke"):
            (root / name).mkdir()
        (root / "checks/test_made_up.py").write_text(CHECK)
        (root / "smoke/test_made_up.py").write_text(SMOKE)
        made.asks(NODES[0])
        made.release("0.9.0")
        log = root / "run/requests.log"
        argv = [sys.executable, str(HERE / "balancer.py"), str(port), f"{made.stack}_web", str(log)]
        balancer = subprocess.Popen([*argv, *(str(node.socket) for node in NODES)])
        try:
            by_hand(made)
            assert wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, timeout=60)
            assert wait_until(lambda: made.serving() == "0.9.0", timeout=120)
            yield made
        finally:
            balancer.send_signal(signal.SIGKILL)
            balancer.wait()
            all_there()
            docker("service", "rm", f"{made.stack}_web", check=False)


def docker(*words: str, check: bool = True) -> str:
    argv = ["docker", "-H", f"unix://{NODES[0].socket}", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=check).stdout


def by_hand(made: Swarmed, *more: str) -> None:
    """With ``more`` options, as the team's stack file would.

    Without ip_vs in the kernel there is neither a mesh nor a virtual address.
    """
    docker(
        "service", "create", "--detach", "--name", f"{made.stack}_web", "--replicas", "3",
        "--init", "--endpoint-mode", "dnsrr", "--publish", "mode=host,target=8000", "--restart-delay", "1s", *more,
        f"{made.image}:0.9.0",
    )  # fmt: skip
    assert wait_until(lambda: made.running() == ["0.9.0"] * 3, timeout=300), made.running()


@pytest.fixture(scope="session")
def all_tests(swarm: None) -> Iterator[Swarmed]:
    """0.9.0 serves, which was deployed by hand."""
    with swarmed() as made:
        with ThreadPoolExecutor() as side_by_side:
            list(side_by_side.map(made.release, ("1.0.1", "1.1.0", "1.2.0", "1.3.0")))
        yield made


@pytest.fixture
def site(all_tests: Swarmed) -> Iterator[Swarmed]:
    """The same; after a test all nodes are there again, and one release serves on three tasks."""

    def whole() -> bool:
        running = all_tests.running()
        return len(running) == 3 and len(set(running)) == 1

    yield all_tests
    all_there()
    all_tests.asks(NODES[0])
    if not wait_until(whole, timeout=60):
        all_tests.put_in_order()
    assert wait_until(whole, timeout=60), all_tests.placed()
