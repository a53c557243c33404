"""What a release changes about the schema, and the way up and down: one Protocol, whichever tool is behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gate.config import AlembicTool, CommandTool, DjangoTool, Environment, SqlTool
from gate.database.connection import where
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.releases import Release

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Migration:
    """One revision of a release; ``file`` is its path inside the release, ``marks`` what its tool told (``marks``)."""

    id: str
    title: str
    has_downgrade: bool
    file: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ran:
    """One revision that was applied or taken back, and how many seconds that took."""

    id: str
    seconds: float


class MigrationFailed(DatabaseError):  # noqa: N818 - what happened
    """A migration did not run to its end. ``revision`` failed; the database is at ``at`` now (None: before the first).

    What the revision did outside of its transaction (an index built concurrently, an enum's new value) is left behind,
    although the database is not at it: compare ``fingerprint.schema`` with the one from before. ``whole`` is false for
    a revision that is known to run so: to run it again would meet what it left.
    """

    def __init__(
        self, message: str, *, revision: str | None, at: str | None, sqlstate: str | None = None, whole: bool = True
    ) -> None:
        super().__init__(message)
        self.whole = whole
        self.revision = revision
        self.at = at
        self.sqlstate = sqlstate


class UnknownRevision(DatabaseError):  # noqa: N818 - what happened
    """The database is at ``revision``, which this release does not know: a later release migrated it."""

    def __init__(self, message: str, *, revision: str, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.revision = revision


class Migrations(Protocol):
    """A release's migrations. Every method may raise DatabaseError; errors never hold the URL's password."""

    def revisions(self) -> list[Migration]:
        """All revisions the release carries, oldest first. Raises DatabaseError for two heads."""

    def head(self) -> str | None:
        """The revision the release's code needs; None when it carries no migrations."""

    def knows(self, revision: str) -> bool:
        """Whether the release carries a revision."""

    def current(self, url: Secret) -> str | None:
        """The revision the database is at; None when no migration ever ran. Known to this release or not."""

    def pending(self, url: Secret) -> list[Migration]:
        """What ``upgrade`` would run, in order. Raises UnknownRevision when the database is ahead of the release."""

    def upgrade(self, url: Secret) -> list[Ran]:
        """Brings the database to ``head``. Raises MigrationFailed, UnknownRevision."""

    def downgrade(self, url: Secret, to: str | None) -> list[Ran]:
        """Takes the database back to a revision, or with None to before the first. Raises as ``upgrade`` does."""

    def sql(self, url: Secret, start: str | None) -> str:
        """The SQL of an upgrade from a revision (None: from nothing) to ``head``, for a linter; changes nothing.

        A tool may look at the database of ``url`` for the names of what it would change.
        """

    def after(self, state: str | None, migration: Migration) -> str:
        """The revision a database is at once a pending migration has run, that was at ``state``."""


def create(environment: Environment, release: Release, progress: Progress = lambda _: None) -> Migrations | None:
    """The migration tool of a release; None where the environment declares no database or no migrations.

    ``progress`` is told when a lock does not come and the migration is tried again.
    """
    database = environment.database
    if database is None or database.migrations is None:
        return None
    from gate.database import tools
    from gate.database.patience import Patience

    where_they_run = tools.of(environment, release)
    patience = Patience(database.lock_timeout, database.statement_timeout, database.lock_retries, progress)
    match database.migrations:
        case AlembicTool() as tool:
            from gate.database.alembic import AlembicMigrations

            return AlembicMigrations(release, tool, patience, where_they_run)
        case SqlTool() as tool:
            from gate.database.sql_migrations import SqlMigrations

            return SqlMigrations(release, tool, patience)
        case DjangoTool() as tool:
            from gate.database.django import DjangoMigrations

            return DjangoMigrations(release, tool, patience, where_they_run)
        case CommandTool() as tool:
            from gate.database.command import CommandMigrations

            return CommandMigrations(release, tool, patience, where_they_run)


def failed(
    what: str,
    reason: str,
    *,
    revision: str | None,
    current: Callable[[], str | None],
    sqlstate: str | None = None,
    whole: bool = True,
) -> DatabaseError:
    """What to raise for a migration that failed: MigrationFailed, unless even ``current`` cannot be told."""
    try:
        at = current()
    except DatabaseError as fault:
        return DatabaseError(f"{what} failed: {reason}; where that left the database is unknown: {fault}")
    return MigrationFailed(
        f"{what} failed: {reason}; the database is at {at or 'no revision'}",
        revision=revision,
        at=at,
        sqlstate=sqlstate,
        whole=whole,
    )


def unknown(url: Secret, release: Release, revision: str, head: str | None) -> UnknownRevision:
    """What to raise for a database at a revision that a release, which ends at ``head``, does not carry."""
    return UnknownRevision(
        f"{where(url)} is at {revision}, unknown to release {release.version}, "
        f"which ends at {head or 'no revision'}: a later release migrated it",
        revision=revision,
        next_step="deploy a release that carries this revision, or downgrade with that release first",
    )


def not_below(url: Secret, current: str | None, to: str) -> DatabaseError:
    """What to raise for a downgrade to a revision that does not lie below the one the database is at."""
    return DatabaseError(f"{where(url)} is at {current or 'no revision'}; {to} is not below it")
