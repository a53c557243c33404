"""What runs the releases."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, model_validator

from gate.config.fields import Command, Seconds, Section, UrlPath, placeholders
from gate.redact import Secret


class ProcessSettings(Section):
    """What runs the releases: processes of this machine."""

    kind: Literal["process"]


_SSH = r"ssh://([A-Za-z0-9._-]+@)?[A-Za-z0-9._-]+(:[0-9]{1,5})?(/.+)?"


class ContainerSettings(Section):
    """A Docker engine, and how the gate's own containers on it are made."""

    host: Annotated[str, Field(pattern=rf"^(unix:///.+|{_SSH})$")] = Field(
        "unix:///var/run/docker.sock",
        description="Where the engine listens: unix:///PATH, or ssh://USER@SERVER:PORT, and its socket there if it "
        "is not /var/run/docker.sock (docs/docker.md)",
    )
    key: Secret | None = Field(None, description="ssh: the private key itself; left out: the agent's, or `identity`")
    identity: str | None = Field(None, description="ssh: file of the private key")
    known_hosts: str | None = Field(None, description="ssh: file of the hosts' keys; left out: the user's own")
    network: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        "bridge", description="Network of the containers; `host`: that of this machine, for servers on its loopback"
    )
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$")] | None = Field(
        None, description="Who runs inside, USER or UID:GID; left out: the image's own user"
    )
    pids: Annotated[int, Field(ge=16)] = Field(512, description="How many processes and threads a container may have")

    _root: Path = PrivateAttr(Path())
    _app: str = PrivateAttr("")
    _name: str = PrivateAttr("")
    _behind: tuple[str, ...] = PrivateAttr(())

    @property
    def behind(self) -> tuple[str, ...]:
        """Each HOST:PORT that this machine goes to through the engine's SSH connection."""
        return self._behind

    @property
    def root(self) -> Path:
        """The project's folder: relative paths of this machine start here."""
        return self._root

    def bind(self, root: Path, app: str, name: str, behind: tuple[str, ...] = ()) -> None:
        """Says once which project, application and environment this belongs to; part of its making."""
        self._root, self._app, self._name, self._behind = root, app, name, behind

    @property
    def place(self) -> str:
        """The application and the environment, as they are told apart on a server."""
        return f"{self._app}/{self._name}"

    def owner(self, state_folder: Path) -> str:
        """Whose containers these are, as their label says: one engine may run several environments.

        On this machine an environment is its state folder. On a server, which is deployed to from any machine, it is
        the application and where that folder lies in its project.
        """
        if not self.remote:
            return str(state_folder)
        inner = state_folder.relative_to(self._root) if state_folder.is_relative_to(self._root) else state_folder
        return f"{self._app}:{inner.as_posix()}"

    @property
    def remote(self) -> bool:
        """Whether the engine is another machine's."""
        return self.host.startswith("ssh:")

    @property
    def named(self) -> str:
        """What people call its server."""
        parts = urlsplit(self.host)
        return f"{parts.hostname}:{parts.port}" if parts.port not in {None, 22} else str(parts.hostname)

    @model_validator(mode="after")
    def _by_ssh(self) -> ContainerSettings:
        given = [name for name in ("key", "identity", "known_hosts") if getattr(self, name) is not None]
        if given and not self.remote:
            raise ValueError(f'{given[0]}: only with host = "ssh://…"')
        if self.key is not None and self.identity is not None:
            raise ValueError("key and identity: one private key is enough")
        return self


class DockerSettings(ContainerSettings):
    """What runs the releases: containers of a Docker engine on this machine."""

    kind: Literal["docker"]
    hosts: list[Annotated[str, Field(pattern=rf"^{_SSH}$")]] = Field(
        [],
        description="Instead of `host`: several servers, each ssh://USER@SERVER:PORT, that all run and serve the same "
        "release; what is done once, such as a migration, is done on the first (docs/docker.md)",
    )
    read_only: bool = Field(True, description="Whether a container may write nowhere but into `tmpfs` and `mounts`")
    tmpfs: list[UrlPath] = Field(["/tmp"], description="Folders in memory a container may write into")  # noqa: S108
    mounts: list[str] = Field(
        [], description="FOLDER:INSIDE or FOLDER:INSIDE:ro; {state} is replaced; of a server, FOLDER is a path there"
    )
    front_door: str = Field("caddy:2", description="ssh: the image of the proxy, which is a container there")
    probes: Annotated[str, Field(pattern=r"^127\.0\.0\.1:\d{2,5}$")] | None = Field(
        None,
        description="ssh: the server's own port where the proxy lets the gate's requests in; left out: one of 30000 to "
        "31999 that the application's and the environment's names give",
    )

    @model_validator(mode="before")
    @classmethod
    def _first_of_several(cls, given: Any) -> Any:
        """``host`` is the first of several: what is done once is done there."""
        if isinstance(given, dict) and isinstance(given.get("hosts"), list) and given["hosts"]:
            if "host" in given:
                raise ValueError("host and hosts: name the servers in one of them")
            return {**given, "host": given["hosts"][0]}
        return given

    @model_validator(mode="after")
    def _servers(self) -> DockerSettings:
        if len(self.hosts) == 1:
            raise ValueError("hosts: one server is `host`")
        names = [server.named for server in self.each]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"hosts: {twice[0]} is named twice")
        return self

    @property
    def each(self) -> list[DockerSettings]:
        """The settings of each server for itself, in the file's order."""
        return [self.model_copy(update={"host": host, "hosts": []}) for host in self.hosts or [self.host]]

    @property
    def door(self) -> str:
        """``probes``, or the port that this environment has of itself."""
        return self.probes or f"127.0.0.1:{30_000 + zlib.crc32(self.place.encode()) % 2_000}"

    @model_validator(mode="after")
    def _mountable(self) -> DockerSettings:
        for mount in self.mounts:
            folder, inside, *rest = [*mount.split(":"), ""]
            if not folder or not inside.startswith("/") or rest not in ([""], ["ro", ""]):
                raise ValueError(f"mounts: {mount!r} is not FOLDER:INSIDE or FOLDER:INSIDE:ro")
            if self.remote and not folder.startswith("/"):
                raise ValueError(f"mounts: {mount!r}: a folder of the server is named by its whole path")
        return self


class CommandSettings(Section):
    """What runs the releases: whatever the team's own commands drive, in the project's folder (docs/commands.md)."""

    kind: Literal["command"]
    deploy: Annotated[Command, placeholders("python version digest instance")] = Field(
        description="Makes {version} serve, and ends with 0 once it does; with `promote`: starts it beside what serves"
    )
    serves: Annotated[Command, placeholders("python")] = Field(
        description="Prints the version, or the instance, that is to have the traffic, or nothing"
    )
    logs: Annotated[Command, placeholders("python version instance since")] = Field(
        description="Prints what {instance} wrote after {since}, in seconds since 1970"
    )
    rollback: Annotated[Command, placeholders("python version digest instance")] | None = Field(
        None, description="Makes {version}, which served before, serve again; left out: `promote`, or `deploy`"
    )
    promote: Annotated[Command, placeholders("python version digest instance percent")] | None = Field(
        None, description="Gives {percent} of the traffic, 100 if it is not named, to a release that `deploy` started"
    )
    stop: Annotated[Command, placeholders("python version instance")] | None = Field(
        None,
        description="Ends a release that `deploy` started, and harmlessly one that has ended; needed with `promote`",
    )
    withdraw: Annotated[Command, placeholders("python")] | None = Field(
        None, description="Takes the traffic from a first release that has failed; left out: it keeps it"
    )
    health: Annotated[Command, placeholders("python version instance")] | None = Field(
        None,
        description="Ends with 0 when {instance} is healthy, with 3 when it has ended; needed with `promote`; "
        "left out: the services' own paths at the front door",
    )
    candidate: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] | None = Field(
        None, description="Where a release without traffic answers, by {version} or {instance}; needed with `promote`"
    )
    headers: dict[str, str] = Field({}, description="What a request must carry to reach it there, replaced as well")
    requests: str | Annotated[Command, placeholders("python since")] | None = Field(
        None,
        description="The load balancer's log of requests, one JSON object a line: a file, or a command that prints it "
        "from {since} on, in seconds since 1970, and goes on; needed by [traffic] steps",
    )
    timeout: Seconds = Field(600.0, description="For each command")
    env: dict[str, Secret] = Field({}, description="Variables the commands need; they get few others")

    @model_validator(mode="after")
    def _whole(self) -> CommandSettings:
        beside = [self.promote, self.stop, self.candidate]
        if any(beside) and not (all(beside) and self.health):
            raise ValueError("promote, stop, candidate and health belong together: a release beside what serves")
        return self

    @property
    def shares(self) -> bool:
        """Whether a release can be given a part of the traffic."""
        return any("{percent}" in word for word in self.promote or [])


class SwarmSettings(ContainerSettings):
    """What runs the releases: services of a Docker Swarm, which the team's stack file describes (docs/swarm.md).

    `network`, `user` and `pids` are those of the one-off containers that migrate.
    """

    kind: Literal["swarm"]
    stack: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        description="Name of the stack: its service for [services.web] is STACK_web"
    )
    order: Literal["start-first", "stop-first"] = Field(
        "start-first", description="Whether a new task is started before the old one ends; not with fixed host ports"
    )
    parallelism: Annotated[int, Field(ge=1)] = Field(1, description="How many tasks are moved at a time")
    monitor: Seconds = Field(
        5.0, description="How long Swarm watches a new task for failing before the next one, and once more at the end"
    )
    timeout: Seconds = Field(300.0, description="For the update of one service, of all its tasks")
    requests: str | None = Field(
        None, description="The load balancer's log of requests, one JSON object a line; needed by [traffic] steps"
    )


Engine = Annotated[
    ProcessSettings | DockerSettings | SwarmSettings | CommandSettings,
    Field(discriminator="kind"),
]
