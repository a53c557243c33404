"""What a restore is of: which backup, into which database, and what would be lost by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.config import Environment
from gate.errors import OperationFailed, UsageError

if TYPE_CHECKING:
    from gate.database.manifest import Backup
    from gate.redact import Secret
    from gate.releases import Release

LATEST = "latest"
"""Stands for the newest backup that was proven."""


@dataclass(frozen=True)
class Restoring:
    """A backup that is to become the live database, which has the name ``live``."""

    backup: Backup
    live: str

    @property
    def told(self) -> str:
        """``20261124T…Z-r7 of 2026-11-24 13:00:05 UTC, 5 minutes old, into database store``."""
        made = self.backup
        return f"{made.id} of {made.taken_at:%Y-%m-%d %H:%M:%S} UTC, {age(made)} old, into database {self.live}"

    def names(self, run: str) -> dict[str, Any]:
        """The databases of one run, by role: the live one, the restored one beside it, and what each becomes."""
        from gate.database.swap import named

        return {
            "backup": self.backup.id,
            "live": self.live,
            "beside": named(self.live, f"beside_{run}"),
            "kept": named(self.live, f"before_{run}"),
            "gone": named(self.live, f"restored_{run}"),
        }


def age(made: Backup) -> str:
    """How old a backup is, in the largest unit that says enough."""
    seconds = (datetime.now(UTC) - made.taken_at).total_seconds()
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def server_of(environment: Environment) -> Secret:
    """Where databases are created and renamed, by a role that may. Raises OperationFailed without a database."""
    database = environment.database
    if database is None:
        raise OperationFailed(f"{environment.file}: there is no [database] to restore")
    if database.maintenance_url is not None:
        return database.maintenance_url
    if environment.stack is not None and environment.stack.postgres is not None:
        from gate.stack.postgres import Postgres

        return Postgres(environment, environment.stack.postgres).superuser()
    return database.url


def folder_of(environment: Environment) -> Path:
    """Where the environment's backups lie."""
    return environment.state_folder / "backups"


def choose(environment: Environment, wanted: str) -> Restoring:
    """The backup with an id; ``latest`` is the newest that was proven.

    Raises UsageError, or OperationFailed for one of no use.
    """
    from gate.database import backup, team_backup
    from gate.database.connection import parameters

    database = environment.database
    if database is None:
        raise UsageError(f"{environment.file}: there is no [database] to restore")
    found = backup.available(folder_of(environment))
    chosen = next((item for item in found if wanted == item.id or (wanted == LATEST and item.verified_at)), None)
    if chosen is None:
        listed = f"python deploy_gate.py {environment.name} restore   lists them"
        raise UsageError(f"no backup {wanted} in {folder_of(environment)}", next_step=listed)
    if chosen.environment != environment.name:
        raise OperationFailed(f"backup {chosen.id} is of environment {chosen.environment}, not of {environment.name}")
    backup.check_file(chosen)
    parts = parameters(database.url)
    live = parts.get("dbname") or parts["user"]
    if chosen.origin.database != live:
        raise OperationFailed(f"backup {chosen.id} is of database {chosen.origin.database}, not of {live}")
    if chosen.kind == "command":
        team_backup.demand_restore(chosen, environment)
    return Restoring(chosen, live)


def demand_fit(environment: Environment, release: Release, made: Backup) -> str:
    """A line about the schema of a backup and the release that serves.

    Raises OperationFailed where that release has migrations that the backup lacks: it could not work on it.
    """
    from gate.database import migrations

    tool = migrations.create(environment, release)
    if tool is None:
        return "schema: no migrations are declared, so only the critical smoke tests tell whether it fits"
    head = tool.head()
    if made.schema_head == head:
        return f"schema: {head}, what {release.version} was made for"
    if made.schema_head is None or tool.knows(made.schema_head):
        raise OperationFailed(
            f"backup {made.id} has the schema {made.schema_head or 'of before the first migration'}; "
            f"{release.version}, which serves, needs {head}. Nothing was touched",
            next_step=f"python deploy_gate.py {environment.name} rollback   to that schema's release, then restore",
        )
    return f"schema: {made.schema_head}, younger than {head} of {release.version}: its critical smoke tests must tell"


def lost(environment: Environment, made: Backup, progress: Callable[[str], None]) -> list[str]:
    """What the live database has and the backup has not, in lines a person reads. Raises DatabaseError."""
    from gate.database import backup, fingerprint
    from gate.database.connection import connect
    from gate.database.dump import size

    database = environment.database
    if database is None:
        return []
    if made.kind == "command":
        lines = ["what was written since: only the team's own tool knows which rows the backup holds"]
    else:
        progress("comparing every table")
        lines = fingerprint.data_difference(made.tables, fingerprint.data(database.url, progress=progress))
    with connect(database.url) as connection:
        if made.wal is not None and made.origin.major == connection.info.server_version // 10000:
            here = backup.log_position(connection)
            row = connection.execute("SELECT pg_wal_lsn_diff(%s, %s)", [here, made.wal]).fetchone()
            if row is not None and row[0] >= 0:  # else it is another server's log
                lines.append(f"{size(int(row[0]))} of write-ahead log written since, from {made.wal} to {here}")
    return lines
