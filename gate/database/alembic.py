"""Migrations by Alembic, run as a child process in the release's folder (see ``alembic_child``)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tenacity

from gate import shell
from gate.database.connection import CONNECT_TIMEOUT, connect, scrubbed, where
from gate.database.migrations import Migration, MigrationFailed, Ran, UnknownRevision
from gate.errors import DatabaseError, ShellError
from gate.redact import Secret
from gate.releases import Release

if TYPE_CHECKING:
    from gate.database.connection import Connection

_CHILD = Path(__file__).with_name("alembic_child.py")
_BASE = "base"
_LOCK_NOT_AVAILABLE = "55P03"
_ATTEMPTS = 3  # at a lock that does not come
_CAN_NOTICE_A_DEAD_CLIENT = 140000  # the first server version that can
_ASK_TIMEOUT = 60.0  # seconds: loading the release's migrations, reading its version table

# The same server and database, whichever way one is connected to it; every role may ask this.
_IDENTITY = "SELECT current_database() || '@' || extract(epoch FROM pg_postmaster_start_time())"

# A URL where nothing is asked of a database; offline it only tells Alembic which dialect to write.
_OFFLINE = Secret("postgresql://offline@localhost/offline")


@dataclass
class _Known:
    """What one release's files say; a built release never changes, so that it is asked once."""

    facts: dict[str, Any] | None = None
    version_table: tuple[str, str] | None = None


_KNOWN: dict[tuple[Path, str, str], _Known] = {}


class AlembicMigrations:
    """``Migrations`` of a release that carries an ``alembic.ini``. Time-outs in seconds, for each statement."""

    def __init__(self, release: Release, *, config: str, lock_timeout: float, statement_timeout: float) -> None:
        self._release = release
        self._config = config
        self._lock_timeout = lock_timeout
        self._statement_timeout = statement_timeout
        self._known = _KNOWN.setdefault((release.folder, release.digest, config), _Known())

    def revisions(self) -> list[Migration]:
        return [
            Migration(item["id"], item["title"], item["has_downgrade"], item["file"])
            for item in self._facts["revisions"]
        ]

    def head(self) -> str | None:
        heads: list[str] = self._facts["heads"]
        return heads[0] if heads else None

    def knows(self, revision: str) -> bool:
        return revision in self._parents

    def current(self, url: Secret) -> str | None:
        applied = self._applied(url)
        if len(applied) > 1:
            raise DatabaseError(f"{where(url)} is at {len(applied)} revisions at once: {', '.join(sorted(applied))}")
        return applied[0] if applied else None

    def pending(self, url: Secret) -> list[Migration]:
        applied = self._ancestors(self._known_current(url))
        return [item for item in self.revisions() if item.id not in applied]

    def upgrade(self, url: Secret) -> list[Ran]:
        current = self._known_current(url)
        head = self.head()
        if head is None or head == current:
            return []
        return self._patiently(url, "upgrade", head)

    def downgrade(self, url: Secret, to: str | None) -> list[Ran]:
        current = self._known_current(url)
        if to is not None and to not in self._ancestors(current):
            raise DatabaseError(f"{where(url)} is at {current or 'no revision'}; {to} is not below it")
        ran = self._patiently(url, "downgrade", to or _BASE) if current != to else []
        if to is None:
            self._drop_empty_version_table(url)
        return ran

    def sql(self, start: str | None) -> str:
        answer = self._ask(_OFFLINE, "sql", start or _BASE, online=False)
        return str(answer[-1]["sql"])

    @property
    def _facts(self) -> dict[str, Any]:
        """The revisions and the head. Raises DatabaseError for more heads than one."""
        known = self._known
        if known.facts is None:
            known.facts = self._ask(_OFFLINE, "facts", online=False)[0]
        heads = known.facts["heads"]
        if len(heads) > 1:
            raise DatabaseError(
                f"release {self._release.version}: {self._config} has {len(heads)} heads: {', '.join(sorted(heads))}; "
                "a release needs exactly one",
                next_step=f"alembic -c {self._config} merge heads",
            )
        return known.facts

    def _applied(self, url: Secret) -> list[str]:
        """The revisions in the database's version table; which table that is, the release's env.py says once."""
        from psycopg import sql

        known = self._known
        if known.version_table is None:
            facts, answer = self._ask(url, "current")
            known.facts, known.version_table = facts, tuple(answer["version_table"])
            return list(answer["applied"])
        with connect(url) as connection:
            if not _exists(connection, known.version_table):
                return []
            table = sql.Identifier(*known.version_table)
            return [row[0] for row in connection.execute(sql.SQL("SELECT version_num FROM {}").format(table))]

    @property
    def _parents(self) -> dict[str, list[str]]:
        return {item["id"]: item["parents"] for item in self._facts["revisions"]}

    def _ancestors(self, revision: str | None) -> set[str]:
        """A revision and everything below it."""
        found: set[str] = set()
        left = deque([revision] if revision else [])
        while left:
            item = left.popleft()
            if item not in found:
                found.add(item)
                left.extend(self._parents[item])
        return found

    def _known_current(self, url: Secret) -> str | None:
        current = self.current(url)
        if current is not None and not self.knows(current):
            raise UnknownRevision(
                f"{where(url)} is at {current}, unknown to release {self._release.version}, "
                f"which ends at {self.head() or 'no revision'}: a later release migrated it",
                revision=current,
                next_step="deploy a release that carries this revision, or downgrade with that release first",
            )
        return current

    def _patiently(self, url: Secret, command: str, revision: str) -> list[Ran]:
        """Runs a command, again when a lock did not come: whoever held it for a moment may be gone."""
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda fault: isinstance(fault, MigrationFailed) and fault.sqlstate == _LOCK_NOT_AVAILABLE
            ),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_fixed(0.5),
            reraise=True,
        )
        return retry(self._run, url, command, revision)

    def _run(self, url: Secret, command: str, revision: str) -> list[Ran]:
        """Runs a command that changes the database. Raises MigrationFailed with what it left the database at."""
        finished, documents = self._child(url, [command, revision], timeout=self._statement_timeout * 10)
        if finished is None or finished.code or not documents or "done" not in documents[-1]:
            self._fail(url, command, documents, finished)
        return [Ran(item["end"], item["seconds"]) for item in documents if "end" in item]

    def _fail(
        self, url: Secret, command: str, documents: list[dict[str, Any]], finished: shell.Finished | None
    ) -> None:
        begun = [item["begin"] for item in documents if "begin" in item]
        ended = [item["end"] for item in documents if "end" in item]
        revision = begun[-1] if len(begun) > len(ended) else None
        file = next((item.file for item in self.revisions() if item.id == revision), None)
        what = f"{command} of {revision} ({file})" if revision else command
        reason = self._reason(url, documents, finished)
        state = next((item.get("sqlstate") for item in documents if "error" in item), None)
        try:
            at = self.current(url)
        except DatabaseError as fault:
            raise DatabaseError(f"{what} failed: {reason}; where that left the database is unknown: {fault}") from None
        raise MigrationFailed(
            f"{what} failed: {reason}; the database is at {at or 'no revision'}",
            revision=revision,
            at=at,
            sqlstate=state,
        )

    def _ask(self, url: Secret, *arguments: str, online: bool = True) -> list[dict[str, Any]]:
        """Runs a command that changes nothing. Raises DatabaseError."""
        finished, documents = self._child(url, list(arguments), timeout=_ASK_TIMEOUT, online=online)
        if finished is None or finished.code or not documents:
            reason = self._reason(url, documents, finished)
            raise DatabaseError(f"release {self._release.version}: alembic {arguments[0]} failed: {reason}")
        return documents

    def _reason(self, url: Secret, documents: list[dict[str, Any]], finished: shell.Finished | None) -> str:
        fault = next((item for item in documents if "error" in item), None)
        if fault is not None:
            place = f" ({fault['at']})" if fault.get("at") else ""
            return scrubbed(url, f"{fault['error']}: {fault['message']}{place}")
        if finished is None:
            return "it did not end in time"
        said = finished.err.strip().splitlines()
        return scrubbed(url, said[-1] if said else f"exit code {finished.code}")

    def _child(
        self, url: Secret, arguments: list[str], *, timeout: float, online: bool = True
    ) -> tuple[shell.Finished | None, list[dict[str, Any]]]:
        """How the child ended (None: it was too slow) and what it answered until then."""
        with tempfile.TemporaryDirectory(prefix="deploy-gate-") as place:
            answers = Path(place) / "answers"
            argv = [sys.executable, "-P", str(_CHILD), str(answers), self._config, *arguments]
            finished: shell.Finished | None = None
            with contextlib.suppress(ShellError):
                finished = shell.run(
                    argv, cwd=self._release.folder, env=self._environment(url, online), timeout=timeout, check=False
                )
            lines = answers.read_text(encoding="utf-8").splitlines(keepends=True) if answers.exists() else []
        return finished, [json.loads(line) for line in lines if line.endswith("\n")]

    def _environment(self, url: Secret, online: bool) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
        given = {name: os.environ[name] for name in kept if name in os.environ}
        given |= {
            "PYTHONDONTWRITEBYTECODE": "1",  # a release's folder must stay what its manifest says
            "GATE_PID": str(os.getpid()),
            "DATABASE_URL": url.reveal(),
        }
        if online:
            options = {
                "lock_timeout": f"{self._lock_timeout * 1000:.0f}",
                "statement_timeout": f"{self._statement_timeout * 1000:.0f}",
            }
            with connect(url) as connection:
                identity = connection.execute(_IDENTITY).fetchone()
                if connection.info.server_version >= _CAN_NOTICE_A_DEAD_CLIENT:
                    options["client_connection_check_interval"] = "1s"
            given |= {
                "GATE_DATABASE_IDENTITY": str(identity[0]) if identity else "",
                "GATE_DATABASE_IDENTITY_SQL": _IDENTITY,
                "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in options.items()),
                "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT),
            }
        return given

    def _drop_empty_version_table(self, url: Secret) -> None:
        """Before the first migration there was no such table: only then is the schema equal to what it was."""
        from psycopg import sql

        names = self._known.version_table
        with connect(url, lock_timeout=self._lock_timeout) as connection, connection.transaction():
            if names is None or not _exists(connection, names):
                return
            table = sql.Identifier(*names)
            connection.execute(sql.SQL("LOCK TABLE {}").format(table))
            if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(table)).fetchone() is None:
                connection.execute(sql.SQL("DROP TABLE {}").format(table))


def _exists(connection: Connection, names: tuple[str, str]) -> bool:
    found = connection.execute("SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s", names)
    return found.fetchone() is not None
