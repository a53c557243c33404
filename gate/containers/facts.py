"""What the engine says of an image and of the containers that run: for the checks to compare with what was asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gate.config import ContainerSettings, DockerSettings, Environment, SwarmSettings
from gate.containers.client import asked, client, found, listed
from gate.containers.images import checks_health
from gate.containers.options import INSTANCE, SERVICE, STATE, TOOL
from gate.containers.swarm import image_of


@dataclass(frozen=True)
class ImageFacts:
    """An image on the host: who runs in it (empty: root), whether it has a health check of its own, its bytes."""

    id: str
    user: str
    checks_health: bool
    size: int


@dataclass(frozen=True)
class ContainerFacts:
    """A container that runs: its limits (``cpu`` in cores, ``memory`` in bytes; None: without) and what it may do.

    ``server``: the one it runs on, where there are several. ``named``: its image as it was asked for.
    """

    service: str
    server: str
    image: str
    named: str
    cpu: float | None
    memory: int | None
    pids: int | None
    read_only: bool
    privileged: bool
    capabilities_dropped: bool
    new_privileges: bool


def image(docker: ContainerSettings, name: str) -> ImageFacts | None:
    """An image by its id or its name; None where the host has none. Raises EngineError."""
    engine = client(docker)
    with asked(f"image {name}"):
        known = found(engine.images.get, name)
    if known is None:
        return None
    config: dict[str, Any] = known.attrs.get("Config") or {}
    return ImageFacts(str(known.id), str(config.get("User") or ""), checks_health(known), int(known.attrs["Size"]))


def storage(docker: ContainerSettings) -> str:
    """The folder on its host in which the engine keeps images, containers and their logs. Raises EngineError."""
    with asked(f"the Docker engine at {docker.host}"):
        return str(client(docker).info()["DockerRootDir"])


def stack_images(docker: SwarmSettings) -> dict[str, str]:
    """The image that each service of a stack is to run, as it is named there. Raises EngineError."""
    with asked(f"the services of {docker.stack}"):
        named = {str(one["Spec"]["Name"]): image_of(one) for one in client(docker).api.services()}
    return {name: image for name, image in named.items() if name.startswith(f"{docker.stack}_")}


def stack_limits(docker: SwarmSettings, services: Collection[str]) -> dict[str, tuple[float | None, int | None]]:
    """The cores and the bytes of memory that a task of each of the stack's services may take; None: any. Those that are
    not there are left out. Raises EngineError."""
    with asked(f"the services of {docker.stack}"):
        made = {str(one["Spec"]["Name"]): one["Spec"]["TaskTemplate"] for one in client(docker).api.services()}
    told = {}
    for name in services:
        template = made.get(f"{docker.stack}_{name}")
        if template is not None:
            limits = (template.get("Resources") or {}).get("Limits") or {}
            told[name] = (limits.get("NanoCPUs") or 0) / 1e9 or None, limits.get("MemoryBytes") or None
    return told


def containers(environment: Environment, docker: ContainerSettings, instance: str) -> list[ContainerFacts]:
    """What runs of an instance. Raises EngineError."""
    labels = [f"{STATE}={docker.owner(environment.state_folder)}", f"{INSTANCE}={instance}"]
    with asked(f"the containers of {instance}"):
        running = listed(client(docker), label=labels)
        server = docker.named if environment.places and isinstance(docker, DockerSettings) else ""
        return [_facts(one.attrs, server) for one in running if TOOL not in one.labels]


def _facts(made: dict[str, Any], server: str) -> ContainerFacts:
    host: dict[str, Any] = made["HostConfig"]
    period, quota = host.get("CpuPeriod") or 100_000, host.get("CpuQuota") or 0
    cpu = (host.get("NanoCpus") or 0) / 1e9 or quota / period
    pids = host.get("PidsLimit") or 0
    return ContainerFacts(
        service=str(made["Config"]["Labels"][SERVICE]),
        server=server,
        image=str(made["Image"]),
        named=str(made["Config"]["Image"]),
        cpu=cpu if cpu > 0 else None,
        memory=host.get("Memory") or None,
        pids=pids if pids > 0 else None,
        read_only=bool(host.get("ReadonlyRootfs")),
        privileged=bool(host.get("Privileged")),
        capabilities_dropped="ALL" in (host.get("CapDrop") or []),
        new_privileges=not any(option.startswith("no-new-privileges") for option in host.get("SecurityOpt") or []),
    )
