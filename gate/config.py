"""The environment file as types: frozen, validated once, each key with its meaning.

How a table becomes one of these is ``gate.parsing``; reading files is ``gate.environments``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from gate.limits import Rule, Statistic, Unit, parse_duration, parse_size
from gate.redact import Redactor, Secret
from gate.results import Category, Severity


def _parsed_by(parse: Any, kind: str) -> Any:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            return parse(value)
        raise ValueError("write it as text with a unit")

    return BeforeValidator(read, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": kind})])


def _traffic_step(value: Any) -> Any:
    """``10% 30s``: a share of the traffic and for how long."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)%\s+(\S+)\s*", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a share and a time, such as 10% 30s")
    share = float(match[1]) / 100
    if not 0 < share <= 1:
        raise ValueError("a share lies above 0% and is at most 100%")
    return share, parse_duration(match[2])


Seconds = Annotated[float, _parsed_by(parse_duration, "duration"), Field(ge=0)]
Bytes = Annotated[int, _parsed_by(parse_size, "size"), Field(ge=0)]


def _field_reference(value: str) -> str:
    if not re.fullmatch(r"/[^#\s]*#[A-Za-z0-9_.-]+", value):
        raise ValueError("write PATH#FIELD, such as /version#version")
    return value


def _route(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", value):
        raise ValueError("a route is a path prefix that starts with /, such as / or /api")
    return value


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("a path starts with /, such as /health")
    return value


def _placeholders(known: str) -> AfterValidator:
    """Refuses ``{name}`` in a command for any other name than the ``known`` ones."""

    def check(words: list[str]) -> list[str]:
        found = {name for word in words for name in re.findall(r"\{([a-z_]+)\}", word)}
        unknown = sorted(found - set(known.split()))
        if unknown:
            raise ValueError(
                f"{{{unknown[0]}}} is unknown; known are {', '.join(f'{{{name}}}' for name in known.split())}"
            )
        return words

    return AfterValidator(check)


UrlPath = Annotated[str, AfterValidator(_path)]
TrafficStep = Annotated[
    tuple[float, float],
    BeforeValidator(
        _traffic_step,
        json_schema_input_type=Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?%\s+\d+(\.\d+)?(ms|s|m|h|d)\s*$")],
    ),
]
FieldReference = Annotated[str, AfterValidator(_field_reference)]
Command = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """A table of the file. Unknown keys are errors; nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class App(Section):
    """What is deployed and where users reach it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", description="Short name: letters, digits, dashes")]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+", description="The front door, as users reach it")]
    ca: str | None = Field(
        None, description="PEM file of the authority that signed the front door's certificate, if it is a private one"
    )


class Releases(Section):
    """Where releases come from: a folder with one sub-folder a version, or an image repository with one tag a version.

    A missing version is made by ``build``. Of an image, ``source`` keeps what the checks and the migrations read.
    """

    source: Annotated[str, Field(description="Folder that holds one folder per version")]
    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$")] | None = Field(
        None, description="Image repository, without a tag; version 1.1.0+a has the tag 1.1.0_a"
    )
    inside: UrlPath = Field("/app", description="The release's folder in the image, where its commands run")
    build: Annotated[Command, _placeholders("python version folder image tag")] | None = Field(
        None, description="Builds a missing version: {version}, and {folder} or {image} and {tag}, are replaced"
    )

    @field_validator("image")
    @classmethod
    def _untagged(cls, image: str | None) -> str | None:
        if image is not None and ":" in image.rpartition("/")[2]:
            raise ValueError(f"{image!r} has a tag: write the repository alone, the version is the tag")
        return image


class ProcessSettings(Section):
    """What runs the releases: processes of this machine."""

    kind: Literal["process"]


class DockerSettings(Section):
    """What runs the releases: containers of a Docker engine on this machine."""

    kind: Literal["docker"]
    host: Annotated[str, Field(pattern=r"^unix:///.+")] = Field(
        "unix:///var/run/docker.sock", description="Where the engine listens"
    )
    network: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        "bridge", description="Network of the containers; `host`: that of this machine, for servers on its loopback"
    )
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$")] | None = Field(
        None, description="Who runs inside, USER or UID:GID; left out: the image's own user"
    )
    read_only: bool = Field(True, description="Whether a container may write nowhere but into `tmpfs` and `mounts`")
    tmpfs: list[UrlPath] = Field(["/tmp"], description="Folders in memory a container may write into")  # noqa: S108
    mounts: list[str] = Field([], description="FOLDER:INSIDE or FOLDER:INSIDE:ro; {state} is replaced")
    pids: Annotated[int, Field(ge=16)] = Field(512, description="How many processes and threads a container may have")

    @model_validator(mode="after")
    def _mountable(self) -> DockerSettings:
        for mount in self.mounts:
            folder, inside, *rest = [*mount.split(":"), ""]
            if not folder or not inside.startswith("/") or rest not in ([""], ["ro", ""]):
                raise ValueError(f"mounts: {mount!r} is not FOLDER:INSIDE or FOLDER:INSIDE:ro")
        return self


Engine = Annotated[ProcessSettings | DockerSettings, Field(discriminator="kind")]


class Limits(Section):
    """Resources one instance of a service may use."""

    cpu: Annotated[float, Field(gt=0, description="Cores")]
    memory: Bytes


class Service(Section):
    """One long-running part of a release. With a ``route`` it takes traffic, without one it works in the background."""

    command: Annotated[
        Command,
        _placeholders("python socket host port folder root state version digest"),
        Field(description="Argument list; run in the release's folder, never by a shell"),
    ]
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Port it listens on in its container, where that has a network of its own"
    )
    route: Annotated[str, AfterValidator(_route)] | None = Field(None, description="Path prefix of its traffic")
    health: UrlPath | None = Field(None, description="Answers 200 while the process lives")
    ready: UrlPath | None = Field(None, description="Answers 200 when the service can do its work")
    in_flight: FieldReference | None = Field(
        None, description="Where the number of requests in flight stands, the question itself not counted"
    )
    identity: FieldReference | None = Field(None, description="Where the running version stands")
    digest: FieldReference | None = Field(None, description="Where the running digest stands")
    start_timeout: Seconds = Field(30.0, description="Within this it must be healthy")
    stop_grace: Seconds = Field(30.0, description="From SIGTERM to SIGKILL")
    exclusive: bool = Field(False, description="Only one release's instance may run at a time (a worker)")
    limits: Limits | None = None
    env: dict[str, Secret] = Field({}, description="Its environment variables; it gets no others")
    log_errors: str = Field(r"\b(ERROR|CRITICAL|FATAL)\b", description="Pattern of an error line in the log")

    @model_validator(mode="after")
    def _consistent(self) -> Service:
        try:
            re.compile(self.log_errors)
        except re.error as fault:
            raise ValueError(f"log_errors is not a regular expression: {fault}") from None
        if self.route is not None and self.health is None:
            raise ValueError("a service with a route needs health, the path that answers 200 while it lives")
        if self.route is not None and self.identity is None:
            raise ValueError("a service with a route needs identity, so that every answer can be told apart")
        if self.route is not None and self.exclusive:
            raise ValueError("a service with a route cannot be exclusive: two releases serve during a deployment")
        return self


class AlembicTool(Section):
    """Alembic, with the release's own migrations and `env.py`."""

    tool: Literal["alembic"]
    config: str = Field("alembic.ini", description="Path inside the release")


class SqlTool(Section):
    """Plain SQL files, `0001_name.up.sql` and `0001_name.down.sql`, run by the gate."""

    tool: Literal["sql"]
    folder: str = Field("migrations", description="Folder of the files, inside the release")
    table: Annotated[
        str,
        Field(
            pattern=r"^([a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*$",
            description="What was applied, as TABLE or SCHEMA.TABLE; made and kept by the gate",
        ),
    ] = "schema_migrations"


class DjangoTool(Section):
    """Django's migrations, in a process of the release."""

    tool: Literal["django"]
    settings: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z_][\w.]*$",
            description="Module of the settings, such as shop.settings; its default database is DATABASE_URL's",
        ),
    ]
    python: str | None = Field(
        None, description="Python 3.11 or newer that has the release's Django; left out: the one that runs the gate"
    )
    env: dict[str, Secret] = Field({}, description="Variables the settings need besides DATABASE_URL")


class CommandTool(Section):
    """The team's own commands, run in the release's folder; what each one prints stands in docs/migrations.md."""

    tool: Literal["command"]
    revisions: Annotated[
        Command,
        _placeholders("python folder version"),
        Field(description="Prints all revisions the release carries, oldest first; is given no database"),
    ]
    current: Annotated[
        Command, _placeholders("python folder version"), Field(description="Prints the revision the database is at")
    ]
    pending: Annotated[
        Command, _placeholders("python folder version"), Field(description="Prints what `up` would run, oldest first")
    ]
    up: Annotated[
        Command, _placeholders("python folder version revision"), Field(description="Applies {revision}, the next one")
    ]
    down: Annotated[Command, _placeholders("python folder version revision")] | None = Field(
        None, description="Takes {revision} back, the last one; left out: no migration has a downgrade"
    )
    sql: Annotated[Command, _placeholders("python folder version start")] | None = Field(
        None, description="Prints the SQL from {start} (or none) to the head, for the linter; touches nothing"
    )
    timeout: Seconds = Field(600.0, description="For each command")
    env: dict[str, Secret] = Field({}, description="Variables the commands need besides DATABASE_URL")


Tool = Annotated[AlembicTool | SqlTool | DjangoTool | CommandTool, Field(discriminator="tool")]


class BackupCommands(Section):
    """Backups by the team's own tool, such as pgbackrest or wal-g; what each command must do: docs/restore.md."""

    command: Annotated[
        Command, _placeholders("python id folder"), Field(description="Makes the backup {id}; ends with 0 if it did")
    ]
    verify: Annotated[
        Command, _placeholders("python id folder"), Field(description="Ends with 0 only if {id} can be restored")
    ]
    restore: Annotated[Command, _placeholders("python id folder data")] | None = Field(
        None, description="Fills {data}, a data folder that is not there yet, from {id}; left out: no `restore`"
    )
    timeout: Seconds = Field(6 * 3600.0, description="For each command")
    env: dict[str, Secret] = Field({}, description="Variables the commands need")


def _kind_of_backup(value: Any) -> str:
    return "kind" if isinstance(value, str) else "commands"


BackupKind = Annotated[
    Annotated[Literal["auto", "dump", "basebackup"], Tag("kind")] | Annotated[BackupCommands, Tag("commands")],
    Discriminator(_kind_of_backup),
]


class Database(Section):
    """The application's PostgreSQL."""

    url: Annotated[Secret, Field(description="postgresql://USER@HOST:PORT/NAME with its password")]
    maintenance_url: Secret | None = Field(
        None, description="The same server, as a role that may create databases and end sessions: only restore uses it"
    )
    migrations: Tool | None = Field(None, description="The team's migration tool")
    invariants: str | None = Field(None, description="SQL file whose statements must return no rows")
    backup: BackupKind = Field(
        "auto",
        description="How backups are made: pg_dump, pg_basebackup, the team's own commands; "
        "`auto`: a base backup where it is allowed and quicker, else a dump",
    )
    rehearsal: bool = Field(
        True,
        description="Whether the checks start what serves and the new release on a migrated private copy; "
        "the services must be given the database's whole URL",
    )
    minimum_version: Annotated[int, Field(ge=10)] = Field(14, description="Oldest supported major version")
    lock_timeout: Seconds = Field(5.0, description="How long a migration may wait, with the application behind it")
    lock_retries: Annotated[int, Field(ge=0, le=20)] = Field(
        5, description="How often a migration that got no lock is tried again, after 0.5 s, 1 s, 2 s … 10 s at most"
    )
    statement_timeout: Seconds = Field(300.0, description="How long one statement of a migration may take")
    pause: Seconds | None = Field(
        None,
        description="How long users may wait while a migration that what serves cannot live with is run, or taken "
        "back; left out: no such migration is deployed",
    )


class Cache(Section):
    """The application's Redis-protocol cache."""

    url: Annotated[Secret, Field(description="redis://HOST:PORT/0, with its password")]
    minimum_version: Annotated[int, Field(ge=1)] = Field(6, description="Oldest supported major version")
    eviction: list[str] = Field([], description="Allowed maxmemory-policy values; empty: any")


class Tls(Section):
    """TLS at the front door. The gate's own requests to a release without traffic come in at ``probes``."""

    issuer: Literal["acme", "internal"] | None = Field(
        None,
        description="acme: a public authority, asked and renewed by the proxy; internal: one of the proxy's own, whose "
        "root certificate `status` names; left out: `certificate` and `key`",
    )
    certificate: str | None = Field(None, description="PEM file with the certificate and its chain")
    key: str | None = Field(None, description="PEM file with its key")
    probes: Annotated[
        str,
        Field(pattern=r"^127\.0\.0\.1:\d{2,5}$", description="Loopback address for the gate's requests, plain HTTP"),
    ]

    @model_validator(mode="after")
    def _one_source(self) -> Tls:
        files = [self.certificate, self.key]
        if self.issuer is not None and any(files):
            raise ValueError("issuer makes certificates, so certificate and key must be left out")
        if self.issuer is None and not all(files):
            raise ValueError('needs certificate and key, or issuer = "acme"')
        return self


class Traffic(Section):
    """The proxy in front of the releases, started and kept by the gate."""

    listen: Annotated[str, Field(pattern=r"^[0-9A-Za-z.\-\[\]:]+:\d{2,5}$", description="host:port of the front door")]
    tls: Tls | None = Field(None, description="Encrypts the front door; left out: plain HTTP")
    try_duration: Seconds = Field(5.0, description="How long a request is held while no release answers")
    drain_timeout: Seconds = Field(30.0, description="How long requests in flight are waited for")
    steps: list[TrafficStep] = Field(
        [],
        description="Shares of live traffic the candidate is watched at; the last is 100%. Empty: nothing is watched",
    )
    sticky: Literal["cookie"] | None = Field(None, description="cookie: a browser stays with the release it was given")
    synthetic: str | None = Field(
        None, description="File of cases that send requests of the team's own while users send too few to judge by"
    )
    hold_for: Seconds = Field(3600.0, description="How long a held deployment waits for a person, then it rolls back")

    @model_validator(mode="after")
    def _growing(self) -> Traffic:
        shares = [share for share, _ in self.steps]
        if shares and (shares != sorted(set(shares)) or shares[-1] != 1):
            raise ValueError("steps: shares must grow, and the last must be 100%")
        return self


class Port(Section):
    """A server of the embedded stack and the port it listens on (loopback only)."""

    port: Annotated[int, Field(ge=1024, le=65535, description="On the loopback address")]


class Stack(Section):
    """Servers that ``up`` starts from wheels, for environments that have none of their own."""

    postgres: Port | None = None
    cache: Port | None = None


class Suite(Section):
    """Which folders of cases run, and for how long at most."""

    folders: Annotated[list[str], Field(min_length=1, description="Folders or files of cases")]
    timeout: Seconds = Field(600.0, description="For the whole suite")


class SmokeSuite(Suite):
    """The smoke suite. A failed case is run once more, and is flaky, not failed, if it passes then."""

    flake_budget: Annotated[int, Field(ge=0)] = Field(
        3, description="Flaky cases forgiven in the last 20 deployments; beyond it a first failure stands"
    )


class RuleRow(Section):
    """One limit on one signal; replaces the default rule of that signal."""

    signal: Annotated[str, Field(description="What is measured")]
    go: str | None = Field(None, description="GO while this holds, such as <= 1%")
    rollback: str | None = Field(None, description="ROLLBACK once this holds, such as > 5%")
    unit: Annotated[Unit | None, Field(strict=False)] = Field(
        None, description="Only for a signal of your own: count, seconds, share or bytes"
    )
    statistic: Annotated[Statistic | None, Field(strict=False)] = Field(
        None, description="What is held against the limits; only error_rate has a choice: sequential or share"
    )
    min_n: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="Fewer samples are HOLD; a test on live traffic may ask for more"
    )
    severity: Annotated[Severity, Field(strict=False)] = Field(Severity.HIGH, description="Of the rule")
    dry_run: bool = Field(False, description="Only report, decide nothing")


class Readiness(Section):
    """What GO needs before a deployment."""

    minimum: Annotated[float, Field(ge=0, le=100)] = Field(90.0, description="Lowest total score for GO")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field({}, description="Category = weight; 1 where not named")

    @model_validator(mode="after")
    def _known_categories(self) -> Readiness:
        known = [str(category) for category in Category]
        for name in self.weights:
            if name not in known:
                raise ValueError(f"weights: {name!r} is not a category; the categories are {', '.join(known)}")
        return self


class Settings(Section):
    """Settings the services need: checked before a deployment, never printed."""

    required: list[str] = Field([], description="Variables that some service must be given")
    formats: dict[str, str] = Field({}, description="Regular expression a setting must match whole")

    @model_validator(mode="after")
    def _patterns(self) -> Settings:
        for name, pattern in self.formats.items():
            try:
                re.compile(pattern)
            except re.error as fault:
                raise ValueError(f"formats: {name}: not a regular expression: {fault}") from None
        return self


class Documents(Section):
    """Papers a release must have."""

    runbook: str | None = Field(None, description="File with a section on rolling back")
    changelog: str | None = Field(None, description="File with an entry for each version")


class Pipeline(Section):
    """What the CI left behind and how it is written."""

    workflows: str | None = Field(None, description="Folder of CI workflow files")
    test_results: str | None = Field(None, description="JUnit XML of the commit's test run")


class Scan(Section):
    """What the security checks read."""

    dependencies: list[str] = Field([], description="Requirement files with pinned versions")
    code: list[str] = Field([], description="Folders of Python code")
    secrets: list[str] = Field([], description="Folders searched for committed secrets")


class Retention(Section):
    """How much is kept for a rollback."""

    backups: Annotated[int, Field(ge=1)] = Field(
        5, description="Newest backups kept; the newest from before the last migration stays as well"
    )
    backup_days: Annotated[float, Field(ge=0)] = Field(0, description="Backups younger than this many days stay too")
    instances: Annotated[int, Field(ge=1)] = Field(2, description="Newest deployments whose logs and facts are kept")


class State(Section):
    """Where the gate keeps its journal, lock, backups and logs."""

    folder: str = Field(".gate", description="Folder; each environment has one of its name in it")
    url: Secret | None = Field(
        None,
        description="postgresql://… for the records and the lock of several machines; without it: files in the folder",
    )


class Environment(Section):
    """One deployed place, as its file describes it."""

    app: App
    releases: Releases
    engine: Engine
    services: Annotated[dict[str, Service], Field(min_length=1)]
    traffic: Traffic
    checks: Suite
    smoke: SmokeSuite
    database: Database | None = None
    cache: Cache | None = None
    stack: Stack | None = None
    rules: list[RuleRow] = []
    readiness: Readiness = Readiness()
    settings: Settings = Settings()
    documents: Documents = Documents()
    pipeline: Pipeline = Pipeline()
    scan: Scan = Scan()
    contacts: dict[str, str] = Field({}, description="Role = whom to call, shown when a rollback failed")
    options: dict[str, Secret] = Field({}, description="Free settings for your own cases")
    retention: Retention = Retention()
    state: State = State()

    # Filled by bind(): where this came from and what must never be printed.
    _name: str = PrivateAttr("")
    _file: Path = PrivateAttr(Path())
    _root: Path = PrivateAttr(Path())
    _secrets: frozenset[str] = PrivateAttr(frozenset())
    _rules: tuple[Rule, ...] = PrivateAttr(())

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
        self._containers()
        for name in self.services:
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,15}", name):
                raise ValueError(f"services.{name}: a service's name is at most 16 letters, digits and dashes")
        return self

    def _containers(self) -> None:
        """What Docker needs to be told, and what only Docker can be."""
        docker = self.engine if isinstance(self.engine, DockerSettings) else None
        if (docker is None) != (self.releases.image is None):
            raise ValueError('engine: kind = "docker" and [releases] image belong together')
        for name, service in self.services.items():
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

    def bind(self, *, name: str, file: Path, root: Path, rules: tuple[Rule, ...], secrets: frozenset[str]) -> None:
        """Says once where this environment came from; part of its making."""
        self._name, self._file, self._root = name, file, root
        self._rules, self._secrets = rules, secrets

    def derived(self, changes: Mapping[str, Any], secrets: Collection[str]) -> Environment:
        """The same environment with other tables in place of its own, and ``secrets`` that it knows besides."""
        made = self.model_copy(update=dict(changes))
        kept = self._secrets | frozenset(secrets)
        made.bind(name=self._name, file=self._file, root=self._root, rules=self._rules, secrets=kept)
        return made

    @property
    def name(self) -> str:
        return self._name

    @property
    def file(self) -> Path:
        return self._file

    @property
    def root(self) -> Path:
        """The project's folder: every relative path of the file starts here."""
        return self._root

    @property
    def state_folder(self) -> Path:
        """Everything the gate keeps for this environment lies below this folder."""
        return self.root / self.state.folder / self.name

    @property
    def redactor(self) -> Redactor:
        return Redactor(self._secrets)

    def rule(self, signal: str) -> Rule | None:
        return next((rule for rule in self._rules if rule.signal == signal), None)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        return self._rules

    def routed(self) -> dict[str, Service]:
        """Services that take traffic."""
        return {name: service for name, service in self.services.items() if service.route is not None}
