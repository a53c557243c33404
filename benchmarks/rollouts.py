"""Ways to bring the next release of one application to users on one Docker engine, all driven alike.

The gate has a module of its own (``gated``). In front of each of the others stands a Caddy with the retries of the
gate's, in a container; a release is one container with the same limits and an init. (Without that Python ends with 0
when Swarm stops it for being unhealthy, and Swarm takes the task for one that has completed.)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import jinja2

from gate.errors import ShellError
from gate.machine import shell
from gate.stack.proxy import binary
from tests.engine.site import free_port

FILES = Path(__file__).with_suffix("")
IMAGE = "gate-bench-shop"
NETWORK = "gate-bench"
FRONT = "gate-bench-front"
SERVICE = "gate-bench-web"
BASE = "gate-test-base:1"
WATCH = 10
"""Seconds that a release which took over is watched for, by who can."""

ANSIBLE = "ansible-core>=2.19,<2.20"
_WHOLE = 240.0


class AbsentError(Exception):
    """A tool that cannot be had here, and why."""


@dataclass(frozen=True)
class Outcome:
    """Whether a tool kept the release, and when it decided otherwise, where it says so."""

    kept: bool
    decided: float | None = None


class Rollout(Protocol):
    """One way. ``up`` raises AbsentError; the rest ShellError for a command that fails in a way of its own."""

    name: str

    def up(self, version: str) -> str:
        """Has a release serve; returns the URL for users."""

    def deploy(self, version: str) -> Outcome:
        """Brings another one to the users; ends when the tool says that it is done."""

    def rollback(self, version: str) -> None:
        """Goes back to ``version``, which served before, because a person says so."""

    def down(self) -> None:
        """Removes all that this made."""


@dataclass
class Host:
    """The Docker engine, and a folder for what is made up on the way."""

    url: str
    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def front(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.url}

    def docker(self, *words: str, check: bool = True) -> str:
        """What a command of Docker's prints, without the line's end. Raises ShellError."""
        return self.run(["docker", *words], check=check).out.strip()

    def run(self, argv: list[str], *, check: bool = True, **environment: str) -> shell.Finished:
        return shell.run(argv, timeout=_WHOLE, env=self.environment | environment, check=check)

    def open(self, upstream: str) -> None:
        """Starts the front door; ``upstream`` is what a Caddyfile has there."""
        template = jinja2.Template((FILES / "Caddyfile.j2").read_text(encoding="utf-8"))
        place = self.folder / "front"
        place.mkdir(exist_ok=True)
        (place / "Caddyfile").write_text(template.render(upstream=upstream), encoding="utf-8")
        self.docker(
            "run", "--detach", "--name", FRONT, "--label", "gate-bench=yes", "--network", NETWORK,
            "--publish", f"127.0.0.1:{self.port}:8080", "--volume", f"{place}:/etc/caddy",
            "--volume", f"{binary()}:/usr/bin/caddy:ro", "--env", "XDG_DATA_HOME=/tmp", "--env", "HOME=/tmp",
            BASE, "/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile",
        )  # fmt: skip

    def sweep(self) -> None:
        """Removes the containers and the network of a way."""
        containers = self.docker("ps", "--all", "--quiet", "--filter", "label=gate-bench=yes").split()
        if containers:
            self.docker("rm", "--force", *containers)
        if self.docker("network", "ls", "--quiet", "--filter", f"name=^{NETWORK}$"):
            self.docker("network", "rm", NETWORK)


class Compose:
    """``docker compose up -d --wait``: no watch, no way back but the same command with the release before."""

    name = "docker compose up"

    def __init__(self, host: Host) -> None:
        self._host = host
        self._argv: list[str] = []

    def up(self, version: str) -> str:
        self._argv = self._found()
        self._host.docker("network", "create", NETWORK)
        self._host.open("to web:8000")
        self.rollback(version)
        return self._host.front

    def deploy(self, version: str) -> Outcome:
        argv = [*self._argv, "--file", str(FILES / "compose.yaml"), "up", "--detach", "--wait"]
        return Outcome(self._host.run(argv, check=False, VERSION=version).code == 0)

    def rollback(self, version: str) -> None:
        if not self.deploy(version).kept:
            raise ShellError(f"{version} did not become healthy")

    def down(self) -> None:
        self._host.sweep()

    def _found(self) -> list[str]:
        for argv in (["docker", "compose"], ["docker-compose"]):
            try:
                version = self._host.run([*argv, "version", "--short"]).out.strip().removeprefix("v")
            except ShellError:
                continue
            if version.partition(".")[0].isdecimal() and int(version.partition(".")[0]) >= 2:
                return argv
        raise AbsentError("no Docker Compose 2 here, neither as `docker compose` nor as `docker-compose`")


class Swarm:
    """``docker service update`` on a swarm of this one node: the next task first, its own rollback.

    There is no routing mesh: many a kernel lacks ip_vs. The proxy asks the swarm's DNS which tasks there are, twice a
    second.
    """

    name = "docker service update"

    def __init__(self, host: Host) -> None:
        self._host = host
        self._joined = False
        self._had = ""

    def up(self, version: str) -> str:
        docker = self._host.docker
        if docker("info", "--format", "{{.Swarm.LocalNodeState}}") != "inactive":
            raise AbsentError("the engine is in a swarm already, which is left alone")
        self._had = docker("network", "ls", "--format", "{{.Name}}")
        self._joined = True
        try:
            docker(
                "swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377",
                "--default-addr-pool", "10.79.0.0/16",
            )  # fmt: skip
            docker("network", "create", "--driver", "overlay", "--attachable", NETWORK)
            docker(
                "service", "create", "--quiet", "--no-resolve-image", "--name", SERVICE, "--network", NETWORK,
                "--init", "--endpoint-mode", "dnsrr", "--stop-grace-period", "5s",
                "--limit-cpu", "1", "--limit-memory", "256M",
                "--update-order", "start-first", "--update-failure-action", "rollback", "--update-monitor", f"{WATCH}s",
                "--rollback-order", "start-first", "--rollback-monitor", "1s", self._image(version),
            )  # fmt: skip
        except ShellError as fault:
            raise AbsentError(f"no swarm of one node on this machine: {fault}") from fault
        self._host.open(f"dynamic a tasks.{SERVICE} 8000 {{\n\t\t\trefresh 500ms\n\t\t}}")
        return self._host.front

    def deploy(self, version: str) -> Outcome:
        # Its exit code is 0 after a rollback too.
        self._host.docker(
            "service", "update", "--quiet", "--no-resolve-image", "--image", self._image(version), SERVICE
        )
        return Outcome(self._state() == "completed")

    def rollback(self, version: str) -> None:  # noqa: ARG002 - there is one it can go back to
        self._host.docker("service", "rollback", "--quiet", SERVICE)
        if self._state() != "rollback_completed":
            raise ShellError(f"service rollback: {self._state()}")

    def down(self) -> None:
        if not self._joined:
            return
        self._host.docker("service", "rm", SERVICE, check=False)
        self._host.docker("rm", "--force", FRONT, check=False)
        self._host.docker("swarm", "leave", "--force", check=False)
        ended = shell.wait_until(lambda: not self._tasks(), timeout=60, every=0.2)
        assert ended, "containers of the swarm outlive it"
        self._host.sweep()
        if "docker_gwbridge" not in self._had.split():
            self._host.docker("network", "rm", "docker_gwbridge", check=False)

    def _image(self, version: str) -> str:
        """By its own id: any other name would be asked for at a registry."""
        return self._host.docker("image", "inspect", "--format", "{{.Id}}", f"{IMAGE}:{version}")

    def _state(self) -> str:
        found = json.loads(self._host.docker("service", "inspect", "--format", "{{json .UpdateStatus}}", SERVICE))
        return str(found["State"])

    def _tasks(self) -> str:
        label = f"label=com.docker.swarm.service.name={SERVICE}"
        return self._host.docker("ps", "--all", "--quiet", "--filter", label)


class Ansible:
    """A playbook that does what the gate's switch does: beside, healthy, switched, watched, taken back."""

    name = "Ansible playbook"

    def __init__(self, host: Host) -> None:
        self._host = host
        self._program = ""

    def up(self, version: str) -> str:
        self._program = shutil.which("ansible-playbook") or self._installed()
        self._host.docker("network", "create", NETWORK)
        self._host.open("to nobody:8000")
        self.rollback(version)
        return self._host.front

    def deploy(self, version: str) -> Outcome:
        ended = self._played(version, watch=WATCH)
        if ended.code not in (0, 2):
            raise ShellError(f"ansible-playbook: exit code {ended.code}: {ended.err[-500:]}")
        return Outcome(ended.code == 0)

    def rollback(self, version: str) -> None:
        ended = self._played(version, watch=0)
        if ended.code:
            raise ShellError(f"ansible-playbook: exit code {ended.code}: {ended.out[-500:]}")

    def down(self) -> None:
        self._host.sweep()

    def _played(self, version: str, watch: int) -> shell.Finished:
        told = {
            "version": version,
            "folder": str(self._host.folder / "front"),
            "url": self._host.front,
            "watch": watch,
        }
        argv = [self._program, "--extra-vars", json.dumps(told), str(FILES / "playbook.yml")]
        home = str(self._host.folder / "ansible-home")
        return self._host.run(argv, check=False, ANSIBLE_HOME=home, ANSIBLE_LOCALHOST_WARNING="false")

    def _installed(self) -> str:
        """In an environment of its own: it is no part of the project."""
        place = self._host.folder / "ansible"
        try:
            venv.create(place, with_pip=True)
            self._host.run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", ANSIBLE])
        except (ShellError, subprocess.SubprocessError, OSError) as fault:
            raise AbsentError(f"no ansible-playbook here, and {ANSIBLE} cannot be installed: {fault}") from fault
        return str(place / "bin" / "ansible-playbook")


OTHERS: tuple[Callable[[Host], Rollout], ...] = (Swarm, Compose, Ansible)


def build(host: Host, version: str, fault: str) -> None:
    """The image of a release that is wrong in the way ``fault`` names (tests/engine/app.py)."""
    place = host.folder / f"image-{version}"
    place.mkdir()
    shutil.copy(FILES / "Dockerfile", place)
    shutil.copy(FILES.parents[1] / "tests" / "engine" / "app.py", place)
    (place / "fault").write_text(fault, encoding="utf-8")
    host.docker(
        "build", "--quiet", "--build-arg", "BASE=gate-test-python:1", "--build-arg", f"VERSION={version}",
        "--tag", f"{IMAGE}:{version}", str(place),
    )  # fmt: skip


def gone(host: Host, versions: list[str]) -> None:
    """Removes the images again."""
    host.docker("rmi", "--force", *(f"{IMAGE}:{version}" for version in versions), check=False)
