"""The application's database and its migration tool, and the cache."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag

from gate.config.fields import Command, Seconds, Section, placeholders
from gate.redact import Secret


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
        placeholders("python folder version"),
        Field(description="Prints all revisions the release carries, oldest first; is given no database"),
    ]
    current: Annotated[
        Command, placeholders("python folder version"), Field(description="Prints the revision the database is at")
    ]
    pending: Annotated[
        Command, placeholders("python folder version"), Field(description="Prints what `up` would run, oldest first")
    ]
    up: Annotated[
        Command, placeholders("python folder version revision"), Field(description="Applies {revision}, the next one")
    ]
    down: Annotated[Command, placeholders("python folder version revision")] | None = Field(
        None, description="Takes {revision} back, the last one; left out: no migration has a downgrade"
    )
    sql: Annotated[Command, placeholders("python folder version start")] | None = Field(
        None, description="Prints the SQL from {start} (or none) to the head, for the linter; touches nothing"
    )
    timeout: Seconds = Field(600.0, description="For each command")
    env: dict[str, Secret] = Field({}, description="Variables the commands need besides DATABASE_URL")


Tool = Annotated[AlembicTool | SqlTool | DjangoTool | CommandTool, Field(discriminator="tool")]


class BackupCommands(Section):
    """Backups by the team's own tool, such as pgbackrest or wal-g; what each command must do: docs/restore.md."""

    command: Annotated[
        Command, placeholders("python id folder"), Field(description="Makes the backup {id}; ends with 0 if it did")
    ]
    verify: Annotated[
        Command, placeholders("python id folder"), Field(description="Ends with 0 only if {id} can be restored")
    ]
    restore: Annotated[Command, placeholders("python id folder data")] | None = Field(
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
    through: Literal["ssh"] | None = Field(
        None,
        description="`ssh`: this machine goes there through the SSH connection of [engine] host; `url` names the "
        "database's server as that host, and the services, reach it (docs/docker.md)",
    )
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

    @property
    def address(self) -> tuple[str, str]:
        """The host and the port of its server, where `url` names one of each."""
        return _address(self.url, 5432)


class Cache(Section):
    """The application's Redis-protocol cache."""

    url: Annotated[Secret, Field(description="redis://HOST:PORT/0, with its password")]
    through: Literal["ssh"] | None = Field(None, description="As of [database]; for `redis://`, not for `rediss://`")
    minimum_version: Annotated[int, Field(ge=1)] = Field(6, description="Oldest supported major version")
    eviction: list[str] = Field([], description="Allowed maxmemory-policy values; empty: any")

    @property
    def address(self) -> tuple[str, str]:
        """The host and the port of its server."""
        return _address(self.url, 6379)


def _address(url: Secret, port: int) -> tuple[str, str]:
    parts = urlsplit(url.reveal())
    try:
        return parts.hostname or "", str(parts.port or port)
    except ValueError:  # several hosts, or no number
        return "", ""
