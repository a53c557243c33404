"""What the pipeline asks of an engine. Every call may be repeated: ``recover`` will."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gate.errors import EngineError
from gate.releases import Release
from gate.signals.lines import Lines


@dataclass(frozen=True)
class Instance:
    """A release as it runs: ``id`` is the engine's own name for this start of it (``r7`` for deployment 7)."""

    id: str
    version: str
    digest: str
    commit: str | None
    folder: str
    started_at: datetime


class Split(EngineError):  # noqa: N818 - what the traffic is
    """Several servers do not send their users to the same release."""


NOT_RUNNING = "not running"
"""Detail of a service that has ended, where nobody knows why."""
NOT_HERE = "does not serve"
"""Detail of a service that was never started, for another release is in its place."""


def name_of(service: str, place: str) -> str:
    """What people call a service where a release runs on several servers; ``place`` is empty where there is one."""
    return f"{service} on {place}" if place else service


@dataclass(frozen=True)
class ServiceState:
    """One service of an instance. ``alive``: its process runs; ``healthy``: health and ready answer 200.

    ``detail``: what is wrong; of a healthy one, what a person should know all the same.
    ``place``: the server it runs on, where there are several.
    """

    service: str
    alive: bool
    healthy: bool
    detail: str = ""
    exit_code: int | None = None
    place: str = ""

    @property
    def name(self) -> str:
        return name_of(self.service, self.place)

    @property
    def ended(self) -> str:
        """Of one that is not alive: that it has ended, and how and why as far as its engine knows."""
        code = f" with exit code {self.exit_code}" if self.exit_code is not None else ""
        why = f" ({self.detail})" if self.detail not in ("", NOT_RUNNING, NOT_HERE) else ""
        return f"has ended{code}{why}"


@dataclass(frozen=True)
class Usage:
    """What one service uses now: ``cpu`` in cores (since the last call), ``memory`` in bytes, and its limits.

    ``place``: the server it runs on, where there are several.
    """

    service: str
    cpu: float
    memory: int
    cpu_limit: float | None
    memory_limit: int | None
    place: str = ""

    @property
    def name(self) -> str:
        return name_of(self.service, self.place)


@dataclass(frozen=True)
class Host:
    """The machine that runs the releases: shares 0 to 1 of cpu, memory and disk in use, and free disk in bytes.

    ``cpu`` is since the call before, without what the gate's own processes used; their part of all is ``own``. Of
    several machines each figure is that of the one that is worst off.
    """

    cpu: float
    own: float
    memory: float
    disk: float
    disk_free: int
    cores: int


@dataclass(frozen=True)
class Endpoint:
    """How to reach an instance, or the front door: a URL and headers that every request must carry.

    ``ca``: the file of the private authority that signed its certificate, if one did.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca: Path | None = None


@dataclass(frozen=True)
class Facts:
    """That the engine and its proxy answer, and which versions they are."""

    engine: str
    engine_version: str
    proxy: str
    proxy_version: str
    supported: bool
    detail: str = ""


@dataclass(frozen=True)
class Drained:
    """How a drain ended: ``complete`` when nothing was in flight any more, after ``seconds``; ``left`` otherwise.

    ``measured`` False: whatever ends the release drains it, and tells nothing of it.
    """

    complete: bool
    seconds: float
    left: int | None
    measured: bool = True


@dataclass(frozen=True)
class Stopped:
    """How one service ended: ``killed`` when it outlived its grace period; ``seconds`` from signal to end.

    ``place``: the server it ran on, where there are several.
    """

    service: str
    exit_code: int | None
    seconds: float
    killed: bool
    place: str = ""

    @property
    def name(self) -> str:
        return name_of(self.service, self.place)


Progress = Callable[[str], None]


class Engine(Protocol):
    """Runs releases side by side and decides which of them traffic reaches."""

    beside: bool
    """Whether a release can run beside the one that serves, without traffic; else it replaces it when promoted."""

    owns: bool
    """Whether it starts and stops what runs; else the team's own tools do, and ``down`` leaves it alone."""

    def facts(self) -> Facts:
        """Whether engine and proxy are reachable and of a supported version. Does not raise for an unreachable one."""

    def host(self) -> Host:
        """How loaded the machine is."""

    def instances(self) -> list[Instance]:
        """Instances with at least one live process, oldest first."""

    def find(self, instance_id: str) -> Instance | None:
        """An instance this engine has started, alive or not."""

    def stable(self) -> Instance | None:
        """The instance that traffic reaches, None before the first deployment. Raises Split where several servers do
        not agree."""

    def obstacles(self, release: Release) -> list[str]:
        """What a person has to change before a release can be deployed here, or gone back from, and how; asked before
        anything is touched. Empty where nothing stands in its way. Raises EngineError when that cannot be told."""

    def start(self, release: Release, instance_id: str) -> Instance:
        """Starts every service of a release, without traffic. Does not wait for health. Raises EngineError."""

    def health(self, instance: Instance) -> list[ServiceState]:
        """The state of every service of an instance, asked now."""

    def endpoint(self, instance: Instance | None) -> Endpoint:
        """How to reach an instance whatever the traffic says; None: the front door, as users do."""

    def promote(self, instance: Instance, share: float = 1.0) -> None:
        """Points a share (0 to 1) of traffic at an instance; 1 makes it stable. Atomic. Raises EngineError."""

    def withdraw(self) -> None:
        """Points traffic at nothing: the undo of a first deployment, and a pause. Requests are held, then answered with
        an error; exclusive services end."""

    def drain(self, instance: Instance, timeout: float) -> Drained:
        """Waits until no request is in flight on an instance that gets no new ones."""

    def stop(self, instance: Instance, grace: float | None = None) -> list[Stopped]:
        """Stops an instance gracefully; after ``grace`` seconds (default: each service's own) it is killed."""

    def resources(self, instance: Instance) -> list[Usage]:
        """What each service of an instance uses."""

    def logs(self, instance: Instance, last: int = 200) -> list[str]:
        """The last lines the services of an instance wrote, each as ``service: line``, or ``service on place: line``
        where there are several servers; also after its end."""

    def follow(self, instance: Instance) -> Lines:
        """What an instance's services write from now on."""

    def rebuild(self, known: Mapping[str, Instance]) -> list[Instance]:
        """Writes down again, from what is ``known`` by id, instances whose own facts are damaged, or gone though
        traffic is pointed at them; returns them. Raises EngineError."""

    def prune(self, keep: set[str]) -> list[str]:
        """Removes what is left of instances that neither run nor are in ``keep``; returns their ids."""

    def settle(self) -> None:
        """What has the traffic is kept: from now on it is started again when it dies, where the engine does that."""
