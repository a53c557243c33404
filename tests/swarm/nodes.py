"""The three nodes of the swarm that tests/swarm/setup starts: which of them leads, and how they die and come back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from gate.containers.client import at
from gate.errors import EngineError
from gate.machine.shell import wait_until

PLACE = Path(os.environ.get("GATE_TEST_SWARM", "/var/tmp/gate-test-swarm"))  # noqa: S108
SETUP = Path(__file__).with_name("setup")
_ENGINES = ("dockerd", "containerd")  # and its shims, which the containers are children of
OUTSIDE = "10.77.0.1"
"""Where this machine is reached from the nodes."""


@dataclass(frozen=True)
class Node:
    """One of them, 1 to 3; each a manager."""

    number: int

    @property
    def socket(self) -> Path:
        return PLACE / str(self.number) / "docker.sock"

    @property
    def api(self) -> Any:
        return at(f"unix://{self.socket}").api

    @property
    def name(self) -> str:
        return f"node{self.number}"

    def kill(self, *, machine: bool = False) -> None:
        """kill -9 of its engine; what runs in containers goes on, unless the whole machine dies."""

        def gone() -> bool:
            dying = [one for one in self._processes() if machine or one.name() in {"dockerd", "containerd"}]
            for process in dying:
                with suppress(psutil.Error):
                    process.kill()
            return not dying

        assert wait_until(gone, timeout=60), self._processes()
        assert not self.answers()

    def start(self) -> None:
        subprocess.run([SETUP, "--start", str(self.number)], check=True, timeout=120)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While the block runs, no other node is given new tasks. It ends once a leader has taken that back."""
        others = [node.name for node in NODES if node != self]
        try:
            for name in others:
                available("pause", name)
            yield
        finally:
            for name in others:
                available("active", name)

    def docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a person types on that machine."""
        argv = ["docker", "-H", f"unix://{self.socket}", *words]
        return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)

    def answers(self) -> bool:
        with suppress(Exception):
            return bool(self.api.ping())
        return False

    def _processes(self) -> list[psutil.Process]:
        """The engine and all that it has started; what is in containers comes below what has the node's folder."""
        own = []
        for process in _serving(_ENGINES, f"{PLACE}/{self.number}/"):
            with suppress(psutil.Error):
                own += [process, *process.children(recursive=True)]
        return list({process.pid: process for process in own}.values())


def _serving(names: str | tuple[str, ...], place: str) -> list[psutil.Process]:
    """Processes of a name that begins so, which were given something in a folder; what a zombie was given is gone."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name().startswith(names) and place in " ".join(process.cmdline()):
                found.append(process)
    return found


@contextmanager
def registry_stopped() -> Iterator[None]:
    """While the block runs, whoever pulls an image from it waits: a task of that image does not get past preparing."""
    (registry,) = _serving("docker-registry", f"{PLACE}/")
    registry.suspend()
    try:
        yield
    finally:
        registry.resume()


NODES = (Node(1), Node(2), Node(3))


def states() -> dict[str, str]:
    """What a manager says of each node, and of its part in leading: ``ready reachable``. Empty while none can tell."""
    for node in NODES:
        with suppress(Exception):
            return {
                one["Description"]["Hostname"]: f"{one['Status']['State']} {one['ManagerStatus']['Reachability']}"
                for one in node.api.nodes()
            }
    return {}


def leader() -> Node:
    for node in NODES:
        with suppress(Exception):
            names = [
                one["Description"]["Hostname"] for one in node.api.nodes() if one["ManagerStatus"].get("Leader", False)
            ]
            return next(one for one in NODES if one.name in names)
    raise EngineError("nobody leads the swarm")


def available(what: str, name: str) -> None:
    """Says which tasks a node may have: of a manager that a leader answers, once there is one."""

    def said() -> bool:
        argv = ("node", "update", "--availability", what, name)
        return any(node.answers() and node.docker(*argv).returncode == 0 for node in NODES)

    assert wait_until(said, timeout=120, every=0.5), states()


def all_there() -> None:
    """Starts again what is dead or held up, and waits until all three lead together."""
    for registry in _serving("docker-registry", f"{PLACE}/"):
        registry.resume()
    dead = [node for node in NODES if not node.answers()]
    with ThreadPoolExecutor(len(NODES)) as side_by_side:
        list(side_by_side.map(Node.start, dead))
    whole = dict.fromkeys((node.name for node in NODES), "ready reachable")
    assert wait_until(lambda: states() == whole, timeout=180, every=0.3), states()
    for node in NODES:
        available("active", node.name)
