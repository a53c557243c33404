"""What a database is: version, size, room for connections. Needs no special rights."""

from __future__ import annotations

from dataclasses import dataclass

from gate.database.connection import connect
from gate.errors import DatabaseError
from gate.redact import Secret


@dataclass(frozen=True)
class DatabaseFacts:
    """``version``: major version; ``size_bytes``: the whole database on disk; ``standby``: it takes no writes."""

    version: int
    version_text: str
    size_bytes: int
    encoding: str
    role: str
    standby: bool
    connections: int
    max_connections: int


def facts(url: Secret) -> DatabaseFacts:
    """Asks the database. Raises DatabaseError when it does not answer within a few seconds."""
    with connect(url, statement_timeout=20) as connection:
        row = connection.execute(
            """
            SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version'),
                   pg_database_size(current_database()), current_setting('server_encoding'), current_user::text,
                   pg_is_in_recovery(), (SELECT sum(numbackends) FROM pg_stat_database)::int,
                   current_setting('max_connections')::int
            """
        ).fetchone()
        if row is None:
            raise DatabaseError("the database did not say what it is")
        return DatabaseFacts(*row)
