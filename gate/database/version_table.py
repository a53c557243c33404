"""The table in which a migration tool keeps what was applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate.database.connection import connect
from gate.redact import Secret

if TYPE_CHECKING:
    from gate.database.connection import Connection

Names = tuple[str, str]  # schema, table


def exists(connection: Connection, names: Names) -> bool:
    found = connection.execute("SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s", names)
    return found.fetchone() is not None


def drop_if_empty(url: Secret, names: Names, lock_timeout: float) -> None:
    """Before the first migration there was no such table: only then is the schema equal to what it was.

    ``lock_timeout`` in seconds. Raises DatabaseError.
    """
    from psycopg import sql

    table = sql.Identifier(*names)
    with connect(url, lock_timeout=lock_timeout) as connection, connection.transaction():
        if not exists(connection, names):
            return
        connection.execute(sql.SQL("LOCK TABLE {}").format(table))
        if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(table)).fetchone() is None:
            connection.execute(sql.SQL("DROP TABLE {}").format(table))
