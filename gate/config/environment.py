"""One environment file as a whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, model_validator

from gate.config.approval import Approval, Checklist
from gate.config.database import Cache, Database
from gate.config.engines import CommandSettings, ContainerSettings, DockerSettings, Engine, SwarmSettings
from gate.config.fields import Section
from gate.config.judging import Documents, Pipeline, Readiness, RuleRow, Scan, Settings, SmokeSuite, Suite
from gate.config.keeping import Retention, Stack, State
from gate.config.measuring import Baseline
from gate.config.monitoring import Monitoring
from gate.config.notifying import Notify
from gate.config.publishing import Publish
from gate.config.releases import App, Releases
from gate.config.schedule import Schedule
from gate.config.services import Service
from gate.config.traffic import Traffic
from gate.judging.limits import Rule
from gate.redact import Redactor, Secret

_NO_CHANCE = 8  # characters


class Environment(Section):
    """One deployed place, as its file describes it."""

    app: App
    releases: Releases
    engine: Engine
    services: Annotated[dict[str, Service], Field(min_length=1)]
    traffic: Traffic = Traffic()
    checks: Suite
    smoke: SmokeSuite
    database: Database | None = None
    cache: Cache | None = None
    stack: Stack | None = None
    rules: list[RuleRow] = Field([])
    readiness: Readiness = Readiness()
    settings: Settings = Settings()
    documents: Documents = Documents()
    pipeline: Pipeline = Pipeline()
    scan: Scan = Scan()
    monitoring: Monitoring = Monitoring()
    notify: Notify = Notify()
    approval: Approval = Approval()
    schedule: Schedule = Schedule()
    checklist: Checklist = Checklist()
    contacts: dict[str, str] = Field({}, description="Role = whom to call, shown when a person is needed")
    options: dict[str, Secret] = Field({}, description="Free settings for your own cases")
    retention: Retention = Retention()
    state: State = State()
    publish: Publish = Publish()
    baseline: Baseline = Baseline()

    # Filled by bind(): where this came from and what must never be printed.
    _name: str = PrivateAttr("")
    _file: Path = PrivateAttr(Path())
    _written: Mapping[str, Any] = PrivateAttr({})
    _root: Path = PrivateAttr(Path())
    _secrets: frozenset[str] = PrivateAttr(frozenset())
    _rules: tuple[Rule, ...] = PrivateAttr(())
    _exposed: tuple[str, ...] = PrivateAttr(())
    _redactor: Redactor | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _consistent(self) -> Environment:
        if not any(service.route == "/" for service in self.services.values()):
            raise ValueError('services: one service needs route = "/"')
        routes = [service.route for service in self.services.values() if service.route]
        if len(routes) != len(set(routes)):
            raise ValueError("services: two services have the same route")
        if self.database is not None and (self.database.pause or 0) > self.traffic.try_duration:
            raise ValueError(
                f"database.pause: {self.database.pause:g} s, but a request is held for [traffic] try_duration = "
                f"{self.traffic.try_duration:g} s only: make that at least as long"
            )
        if self.traffic.tls is not None and not self.app.url.startswith("https:"):
            raise ValueError(
                f"app.url: {self.app.url} is not how users reach a front door with [traffic] tls: https://…"
            )
        self._gates_own_door()
        self._containers()
        self._several_servers()
        self._behind_the_server()
        if isinstance(self.engine, DockerSettings) and self.engine.remote and self.stack is not None:
            raise ValueError("stack: a server's containers do not reach servers of this machine")
        own = self.traffic.tls is not None and self.traffic.tls.issuer == "internal"
        if isinstance(self.engine, DockerSettings) and self.engine.remote and own and not self.app.ca:
            raise ValueError("app.ca: needed on a server whose proxy signs for itself: a copy of its authority")
        if isinstance(self.engine, CommandSettings | SwarmSettings):
            self._teams_own(self.engine)
        elif not self.traffic.listen:
            raise ValueError("traffic: needs listen, the host:port of the front door")
        for name in self.services:
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,15}", name):
                raise ValueError(f"services.{name}: a service's name is at most 16 letters, digits and dashes")
        return self

    def _gates_own_door(self) -> None:
        """Where users come by TLS, the gate itself comes by loopback."""
        tls, engine = self.traffic.tls, self.engine
        if tls is None or isinstance(engine, CommandSettings | SwarmSettings):
            return
        if isinstance(engine, DockerSettings) and engine.remote:
            if tls.probes is not None:
                raise ValueError("traffic.tls.probes: on a server they are [engine] probes: leave it out here")
        elif tls.probes is None:
            raise ValueError('traffic.tls.probes: needed, such as "127.0.0.1:8081": there the gate tries a release')

    def _containers(self) -> None:
        """What Docker needs to be told, and what only Docker can be."""
        docker = self.engine if isinstance(self.engine, DockerSettings) else None
        if isinstance(self.engine, ContainerSettings) != (self.releases.image is not None):
            raise ValueError('engine: kind = "docker" or "swarm" and [releases] image belong together')
        for name, service in self.services.items():
            if not service.command and not isinstance(self.engine, CommandSettings | SwarmSettings):
                raise ValueError(f"services.{name}: needs command")
            words = " ".join([*service.command, *(value.reveal() for value in service.env.values())])
            if docker is None:
                if service.port is not None:
                    raise ValueError(
                        f"services.{name}.port: only for containers; let it listen on {{host}} and {{port}}"
                    )
                continue
            if "{socket}" in words:
                raise ValueError(f"services.{name}: a container listens on a port, not on {{socket}}")
            asks = service.health or service.ready or service.route
            if asks and docker.network != "host" and service.port is None:
                raise ValueError(f"services.{name}: needs port, the one it listens on in its container")
            if asks and docker.network == "host" and "{port}" not in words:
                raise ValueError(f'services.{name}: with network = "host" it must listen on {{host}} and {{port}}')

    def _behind_the_server(self) -> None:
        for name, part in (("database", self.database), ("cache", self.cache)):
            if part is None or part.through is None:
                continue
            if not isinstance(self.engine, ContainerSettings) or not self.engine.remote:
                raise ValueError(f'{name}.through: needs an [engine] with host = "ssh://…"')
            if not re.fullmatch(r"[A-Za-z0-9._-]+", part.address[0]):
                raise ValueError(f"{name}.through: needs one host in url, by its name or IPv4 address")
            if part.url.reveal().startswith("rediss:"):
                raise ValueError(f"{name}.through: the connection is SSH's own, so write redis:// in url")

    def _several_servers(self) -> None:
        """What cannot be kept true on several servers at once must not be asked for."""
        if not self.places:
            return
        for name, service in self.services.items():
            if service.exclusive:
                raise ValueError(
                    f"services.{name}.exclusive: with [engine] hosts every service runs on every server: run it in an "
                    "environment of its own with one `host`"
                )
        if self.database is not None and self.database.pause is not None:
            raise ValueError("database.pause: with [engine] hosts users cannot be made to wait at every front door")
        if self.traffic.tls is not None and self.traffic.tls.issuer is not None:
            raise ValueError(
                "traffic.tls.issuer: with [engine] hosts every front door would get a certificate of its own: name "
                "files, certificate and key"
            )

    def _teams_own(self, engine: CommandSettings | SwarmSettings) -> None:
        """What the gate does not do itself must not be asked of it."""
        traffic = self.traffic
        if traffic.listen or traffic.tls or traffic.sticky:
            raise ValueError(
                f'traffic: with kind = "{engine.kind}" the front door is the team\'s: no listen, tls or sticky'
            )
        for name, service in self.services.items():
            for key in ("command", "env", "limits", "exclusive"):
                if getattr(service, key):
                    raise ValueError(f"services.{name}.{key}: what starts it is the team's, the gate does not")
        if self.database is not None and self.database.pause is not None:
            raise ValueError("database.pause: only the gate's own front door can make users wait")
        if traffic.steps and engine.requests is None:
            raise ValueError("traffic.steps: need [engine] requests, the log that tells what users were answered")
        if len(traffic.steps) > 1 and not (isinstance(engine, CommandSettings) and engine.shares):
            raise ValueError("traffic.steps: only one step, of 100%, is possible without {percent} in [engine] promote")

    def bind(
        self,
        *,
        name: str,
        file: Path,
        root: Path,
        written: Mapping[str, Any],
        rules: tuple[Rule, ...],
        secrets: frozenset[str],
        exposed: tuple[str, ...] = (),
    ) -> None:
        """Says once where this environment came from; part of its making."""
        self._name, self._file, self._root, self._written = name, file, root, written
        self._rules, self._secrets, self._exposed = rules, secrets, exposed
        self._redactor = None
        if isinstance(self.engine, ContainerSettings):
            parts = [part for part in (self.database, self.cache) if part is not None and part.through is not None]
            self.engine.bind(root, self.app.name, name, behind=tuple(":".join(part.address) for part in parts))

    def derived(self, changes: Mapping[str, Any], secrets: Collection[str]) -> Environment:
        """The same environment with other tables in place of its own, and ``secrets`` that it knows besides."""
        made = self.model_copy(update=dict(changes))
        kept = self._secrets | frozenset(secrets)
        made.bind(
            name=self._name,
            file=self._file,
            root=self._root,
            written=self._written,
            rules=self._rules,
            secrets=kept,
            exposed=self._exposed,
        )
        return made

    @property
    def name(self) -> str:
        return self._name

    @property
    def file(self) -> Path:
        return self._file

    @property
    def written(self) -> Mapping[str, Any]:
        """The tables of the file and of those it extends, as they were written: ``${NAME}`` is ``${NAME}`` here."""
        return self._written

    @property
    def root(self) -> Path:
        """The project's folder: every relative path of the file starts here."""
        return self._root

    @property
    def state_folder(self) -> Path:
        """Everything the gate keeps for this environment lies below this folder."""
        return self.root / self.state.folder / self.name

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the servers, where the releases run on several; empty where there is one."""
        if not isinstance(self.engine, DockerSettings) or not self.engine.hosts:
            return ()
        return tuple(server.named for server in self.engine.each)

    @property
    def redactor(self) -> Redactor:
        """Every text that leaves the gate goes through it."""
        if self._redactor is None:
            self._redactor = Redactor(self._secrets)
        return self._redactor

    def holds_secrets(self, text: str) -> bool:
        """Whether a text holds, as it is, a value that must never be printed; short ones stand anywhere by chance."""
        return any(secret in text for secret in self._secrets if len(secret) >= _NO_CHANCE)

    @property
    def exposed(self) -> tuple[str, ...]:
        """Sentences about secrets that the redactor cannot take out; they name keys, never values."""
        return self._exposed

    def rule(self, signal: str) -> Rule | None:
        return next((rule for rule in self._rules if rule.signal == signal), None)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        return self._rules

    def routed(self) -> dict[str, Service]:
        """Services that take traffic."""
        return {name: service for name, service in self.services.items() if service.route is not None}
