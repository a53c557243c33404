"""Processes of this machine, a Docker engine, and a server whose Docker engine is reached by SSH."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from gate import releases
from gate.config import DockerSettings, Environment
from gate.containers.client import at, client, listed
from gate.containers.images import tag_of
from gate.environments import load
from tests.engine.site import folder
from tests.everywhere.project import STARTED_BY_THE_GATE, Project
from tests.remote.server import removed


def common(project: Project, cpu: float) -> dict[str, str]:
    """What the file says wherever the gate starts the releases and keeps the front door."""
    return {
        "releases": "",
        "traffic": f'listen = "127.0.0.1:{project.port}"',
        "service": STARTED_BY_THE_GATE.format(book=project.book.address, cpu=cpu),
    }


class Processes:
    """Processes of this machine."""

    kind, outside, tasks, half_way = "process", "127.0.0.1", 1, 0.05

    def tables(self, project: Project, cpu: float) -> dict[str, str]:
        return {**common(project, cpu), "engine": 'kind = "process"'}

    def offer(self, project: Project, version: str, fault: str) -> None:
        place = project.root / "releases" / version
        if place.exists():
            return
        place.mkdir()
        files = {
            name: hashlib.sha256((place / name).read_bytes()).hexdigest()
            for name in project.files(place, version, fault)
        }
        manifest = {"format": 1, "name": "tiny", "version": version, "digest": releases.digest_of(files)}
        (place / releases.MANIFEST).write_text(json.dumps(manifest | {"files": files}))

    @contextmanager
    def prepared(self, project: Project) -> Iterator[None]:
        try:
            up(project)
            yield
        finally:
            down(project)

    def broken(self, project: Project) -> int:  # noqa: ARG002 - as of the others
        return 0  # Caddy asks once for what it has sent

    def running(self, project: Project) -> list[str]:
        place, versions = project.root / "releases", []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                where = Path(process.cwd())
                if where.parent == place and "app.py" in process.cmdline():
                    versions.append(where.name)
        return sorted(versions)


@dataclass
class Images:
    """The releases of one repository on an engine, made once for all who deploy from there."""

    host: str
    name: str = field(default_factory=lambda: f"gate-test-everywhere-{uuid.uuid4().hex[:6]}")
    made: set[str] = field(default_factory=set)

    def offer(self, project: Project, version: str, fault: str) -> None:
        if version in self.made:
            return
        with folder() as place:
            names = project.files(place, version, fault)
            (place / "Dockerfile").write_text(f"FROM gate-test-base:1\nCOPY {' '.join(names)} /app/\nUSER 10001\n")
            at(self.host).images.build(path=str(place), rm=True, tag=f"{self.name}:{tag_of(version)}")
        self.made.add(version)

    def remove(self) -> None:
        for version in self.made:  # by name: another repository may have an image of the same content
            at(self.host).images.remove(f"{self.name}:{tag_of(version)}")


@dataclass
class Containers:
    """Containers of an engine, reached as ``engine`` says; ``outside``: this machine, as its containers see it."""

    kind: str
    images: Images
    engine: dict[str, Any]
    outside: str
    tasks: int = 1
    half_way: float = 0.05

    def tables(self, project: Project, cpu: float) -> dict[str, str]:
        own = common(project, cpu)
        return {
            **own,
            "releases": f'image = "{self.images.name}"',
            "service": own["service"] + "port = 8000\n",
            "engine": "\n".join(f'{key} = "{value}"' for key, value in self.engine.items()),
        }

    def offer(self, project: Project, version: str, fault: str) -> None:
        self.images.offer(project, version, fault)

    @contextmanager
    def prepared(self, project: Project) -> Iterator[None]:
        environment, docker = settings(project)
        try:
            up(project)
            yield
        finally:
            down(project)
            removed(environment, docker)

    def broken(self, project: Project) -> int:  # noqa: ARG002 - as of the others
        return 0  # Caddy asks once for what it has sent

    def running(self, project: Project) -> list[str]:
        environment, docker = settings(project)
        owner = docker.owner(environment.state_folder)
        own = [one.labels for one in listed(client(docker), label=f"deploy-gate.state={owner}")]
        assert not [labels for labels in own if "deploy-gate.tool" in labels], own
        return sorted(labels["deploy-gate.version"] for labels in own if "deploy-gate.version" in labels)


def settings(project: Project) -> tuple[Environment, DockerSettings]:
    environment = load("local", project.root)
    assert isinstance(environment.engine, DockerSettings)
    return environment, environment.engine


def up(project: Project) -> None:
    ran = project.gate("up")
    assert ran.code == 0, ran.told


def down(project: Project) -> None:
    project.gate("down")


def gateway(host: str) -> str:
    """The address at which containers on an engine's bridge reach its machine."""
    bridge = at(host).networks.get("bridge")
    return str(bridge.attrs["IPAM"]["Config"][0]["Gateway"])
