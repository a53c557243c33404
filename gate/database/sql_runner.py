"""Runs one SQL file and keeps the table of what was applied."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from gate.database.connection import connect, explain, where
from gate.database.patience import Patience
from gate.database.sql_files import Script, Step
from gate.database.version_table import Names, drop_if_empty
from gate.errors import DatabaseError
from gate.redact import Secret

if TYPE_CHECKING:
    import psycopg

    from gate.database.connection import Connection

Way = Literal["upgrade", "downgrade"]

_IN_A_TRANSACTION = "25001"


class ScriptFailed(Exception):  # noqa: N818 - what happened
    """A file did not run to its end; ``sqlstate`` is the server's code, where it was the server that refused."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class SqlRunner:
    """``table`` is TABLE or SCHEMA.TABLE; without a schema it is found, or made, by the role's search path."""

    def __init__(self, table: str, patience: Patience) -> None:
        self._table = table
        self._patience = patience

    def applied(self, url: Secret) -> dict[str, str]:
        """Checksums of what was applied, by revision. Raises DatabaseError for a table of another tool."""
        import psycopg
        from psycopg import sql

        query = sql.SQL("SELECT revision, checksum FROM {}").format(sql.Identifier(*self._table.split(".")))
        with connect(url, fixed_form=False) as connection:
            try:
                return dict(connection.execute(query).fetchall())
            except psycopg.errors.UndefinedTable:
                return {}
            except psycopg.errors.UndefinedColumn:
                raise DatabaseError(
                    f"{where(url)}: the table {self._table} is another tool's: it has no revision and checksum",
                    next_step="name a table of its own in [database.migrations] table",
                ) from None

    def run(self, url: Secret, way: Way, step: Step, script: Script) -> float:
        """Runs the file of a revision and notes what became of it; how many seconds that took.

        Raises ScriptFailed, DatabaseError. A file in a transaction that failed has changed nothing.
        """
        import psycopg

        began = time.monotonic()
        note = _note if way == "upgrade" else _forget
        # A session for each file: what one of them sets must not reach the next.
        with self._session(url) as connection:
            try:
                if script.transaction:
                    with connection.transaction():
                        # First the note: the file may lead the search path elsewhere.
                        note(connection, self._made(connection), step)
                        _execute(connection, script)
                        if connection.info.transaction_status != psycopg.pq.TransactionStatus.INTRANS:
                            raise ScriptFailed("it ends its transaction by itself: take BEGIN and COMMIT out")
                else:
                    _execute(connection, script)
                    note(connection, self._made(connection), step)
            except psycopg.Error as fault:
                raise ScriptFailed(_explained(url, script, fault), fault.sqlstate) from None
        return round(time.monotonic() - began, 4)

    def drop_table_if_empty(self, url: Secret) -> None:
        """Before the first migration there was no such table: only then is the schema equal to what it was."""
        with connect(url, fixed_form=False) as connection:
            names = self._names(connection)
        if names is not None:
            drop_if_empty(url, names, self._patience.lock_timeout)

    @contextmanager
    def _session(self, url: Secret) -> Iterator[Connection]:
        """A session as the application would have it: with its search path, and with policies that apply."""
        with connect(url, fixed_form=False) as connection:
            settings = {"row_security": "on"} | self._patience.settings(connection.info.server_version)
            for name, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            yield connection

    def _names(self, connection: Connection) -> Names | None:
        found = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.oid = to_regclass(%s)",
            [self._table],
        ).fetchone()
        return (found[0], found[1]) if found else None

    def _made(self, connection: Connection) -> Names:
        """The table's names; it is made where there is none."""
        from psycopg import sql

        if self._names(connection) is None:
            connection.execute(
                sql.SQL(
                    "CREATE TABLE {} (revision text PRIMARY KEY, checksum text NOT NULL, "
                    "applied_at timestamptz NOT NULL DEFAULT now())"
                ).format(sql.Identifier(*self._table.split(".")))
            )
        names = self._names(connection)
        assert names is not None  # noqa: S101 - it was there, or was made just now
        return names


def _note(connection: Connection, names: Names, step: Step) -> None:
    from psycopg import sql

    insert = sql.SQL("INSERT INTO {} (revision, checksum) VALUES (%s, %s)").format(sql.Identifier(*names))
    connection.execute(insert, (step.id, step.checksum))


def _forget(connection: Connection, names: Names, step: Step) -> None:
    from psycopg import sql

    connection.execute(sql.SQL("DELETE FROM {} WHERE revision = %s").format(sql.Identifier(*names)), (step.id,))


def _execute(connection: Connection, script: Script) -> None:
    if script.acts:  # psycopg takes an empty statement for a mistake of the caller
        connection.execute(script.text.encode(connection.info.encoding))


def _explained(url: Secret, script: Script, fault: psycopg.Error) -> str:
    """The server's error with its line of the file."""
    position = fault.diag.statement_position
    line = f" ({script.file}:{script.text.count(chr(10), 0, int(position)) + 1})" if position else ""
    hint = ""
    if fault.sqlstate == _IN_A_TRANSACTION:
        hint = "; let the file begin with '-- gate: no transaction' and hold this one statement"
    return f"{type(fault).__name__}: {explain(url, fault)}{line}{hint}"
