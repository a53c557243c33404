"""A second database beside the live one, and the change of names between the two.

PostgreSQL renames a database in a transaction: two names change together or not at all, also when the gate or the
server dies in the middle. Nothing else has to be undone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

from gate.database.connection import connect, parameters, where
from gate.database.ways import like
from gate.errors import DatabaseError
from gate.redact import Secret

if TYPE_CHECKING:
    from psycopg import sql

    from gate.database.connection import Connection

_PATIENCE = 30.0  # seconds in which every session must have ended
_LONGEST_NAME = 63  # bytes that PostgreSQL keeps of a name
_END_SESSIONS: LiteralString = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = ANY(%s)
"""
_PROPERTIES: LiteralString = """
    SELECT to_jsonb(d), pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding)
    FROM pg_database d WHERE d.datname = %s
"""
_SETTINGS: LiteralString = """
    SELECT r.rolname, s.setconfig FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
    WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)
"""
_GRANTS: LiteralString = """
    SELECT r.rolname, a.privilege_type, a.is_grantable
    FROM pg_database d CROSS JOIN aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE d.datname = %s AND (a.grantee = 0 OR r.oid IS NOT NULL)
"""


def named(live: str, suffix: str) -> str:
    """The name of a database that belongs to ``live``; short enough for PostgreSQL to keep whole."""
    room = _LONGEST_NAME - len(suffix.encode()) - 1
    return f"{live.encode()[:room].decode(errors='ignore')}_{suffix}"


def at(server: Secret, database: str) -> Secret:
    """Where another database of the same server is found, by the same role."""
    from psycopg.conninfo import make_conninfo

    return like(server, make_conninfo("", **(parameters(server) | {"dbname": database})))


def oid(server: Secret, database: str) -> int | None:
    """The number of the database of this name, which it keeps under any name; None without one. Raises
    DatabaseError."""
    with _administered(server) as connection:
        found = connection.execute("SELECT oid::bigint FROM pg_database WHERE datname = %s", [database]).fetchone()
    return int(found[0]) if found is not None else None


def make_beside(server: Secret, live: str, name: str) -> None:
    """An empty database with the owner, the encoding, the settings and the privileges of ``live``.

    What had this name is dropped. ``server`` names a role that may create databases. Raises DatabaseError.
    """
    from psycopg import sql

    drop(server, name)
    with _administered(server) as connection:
        found = connection.execute(_PROPERTIES, [live]).fetchone()
        if found is None:
            raise DatabaseError(f"{where(at(server, live))} does not exist")
        facts, owner, encoding = found
        options: dict[str, sql.Composable] = {"OWNER": sql.Identifier(owner), "TEMPLATE": sql.Identifier("template0")}
        options |= {"ENCODING": sql.Literal(encoding), **_locale(facts)}
        words = sql.SQL(" ").join(sql.SQL("{} {}").format(sql.SQL(key), value) for key, value in options.items())
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), words))
        limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
        connection.execute(limit.format(sql.Identifier(name), sql.Literal(facts["datconnlimit"])))
        _copy_settings(connection, live, name)
        if facts["datacl"] is not None:
            _copy_grants(connection, live, name)


def swap(server: Secret, *, live: str, comes: str, leaves: str) -> float:
    """Gives the database ``comes`` the name ``live``, and the one that has it the name ``leaves``, both at once.

    Every session in the two is ended, and those that connect meanwhile wait; one that had found the old database by
    its name just before is refused once (SQLSTATE 3D000). Returns the seconds it took. Raises
    DatabaseError; then no name has changed.
    """
    import psycopg
    from psycopg import sql

    began = time.monotonic()
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with _administered(server) as connection, _nobody_in(server, live, comes) as faults:
        while True:
            try:
                with connection.transaction():
                    connection.execute(rename.format(sql.Identifier(live), sql.Identifier(leaves)))
                    connection.execute(rename.format(sql.Identifier(comes), sql.Identifier(live)))
            except psycopg.errors.ObjectInUse as fault:
                if time.monotonic() - began > _PATIENCE:
                    why = faults[0] if faults else fault.diag.message_detail or "they come back"
                    raise DatabaseError(
                        f"{where(at(server, live))}: its sessions could not be ended within {_PATIENCE:g} s: {why}",
                        next_step="end them by hand (a prepared transaction, another role's sessions), then try again",
                    ) from None
            else:
                return time.monotonic() - began


def drop(server: Secret, name: str) -> bool:
    """Drops a database and every session in it; whether there was one. Raises DatabaseError."""
    from psycopg import sql

    with _administered(server) as connection:
        if not _exists(connection, name):
            return False
        _end_sessions(connection, [name])
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        return True


@contextmanager
def _administered(server: Secret) -> Iterator[Connection]:
    """A connection to the server outside of the databases that change their names."""
    with connect(at(server, "postgres"), statement_timeout=60, lock_timeout=10) as connection:
        yield connection


@contextmanager
def _nobody_in(server: Secret, *databases: str) -> Iterator[list[DatabaseError]]:
    """Ends the sessions in some databases, again and again while the block runs: pools come back at once.

    Gives the list that what stopped it is put in.
    """
    done = threading.Event()
    faults: list[DatabaseError] = []

    def sweep() -> None:
        try:
            with _administered(server) as connection:
                while not done.wait(0.01):
                    _end_sessions(connection, list(databases))
        except DatabaseError as fault:
            faults.append(fault)

    with _administered(server) as connection:  # what may not be done is known before a name is touched
        _end_sessions(connection, list(databases))
    sweeper = threading.Thread(target=sweep, daemon=True)
    sweeper.start()
    try:
        yield faults
    finally:
        done.set()
        sweeper.join(timeout=10)


def _end_sessions(connection: Connection, databases: list[str]) -> None:
    connection.execute(_END_SESSIONS, [databases])


def _exists(connection: Connection, database: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is not None


def _locale(facts: dict[str, Any]) -> dict[str, sql.Composable]:
    """The locale of a database as CREATE DATABASE wants it; the columns differ between PostgreSQL's versions."""
    from psycopg import sql

    found: dict[str, sql.Composable] = {
        "LC_COLLATE": sql.Literal(facts["datcollate"]),
        "LC_CTYPE": sql.Literal(facts["datctype"]),
    }
    provider = {"i": "icu", "b": "builtin"}.get(facts.get("datlocprovider", "c"))
    if provider is not None:
        found["LOCALE_PROVIDER"] = sql.SQL(provider)
        name = "ICU_LOCALE" if provider == "icu" else "BUILTIN_LOCALE"
        found[name] = sql.Literal(facts.get("datlocale") or facts.get("daticulocale"))
        if facts.get("daticurules"):
            found["ICU_RULES"] = sql.Literal(facts["daticurules"])
    return found


def _copy_settings(connection: Connection, live: str, name: str) -> None:
    """``ALTER DATABASE … SET`` and ``ALTER ROLE … IN DATABASE … SET``. The server quotes the values itself."""
    from psycopg import sql

    for role, settings in connection.execute(_SETTINGS, [live]).fetchall():
        for key, _, value in (setting.partition("=") for setting in settings):
            place = sql.SQL("DATABASE {}").format(sql.Identifier(name))
            if role is not None:
                place = sql.SQL("ROLE {} IN {}").format(sql.Identifier(role), place)
            with connection.transaction():
                connection.execute("SELECT set_config(%s, %s, true)", [key, value])
                keep = sql.SQL("ALTER {} SET {} FROM CURRENT")
                connection.execute(keep.format(place, sql.Identifier(*key.split("."))))


def _copy_grants(connection: Connection, live: str, name: str) -> None:
    from psycopg import sql

    database = sql.Identifier(name)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role, privilege, grantable in connection.execute(_GRANTS, [live]).fetchall():
        grant = sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
            sql.SQL(privilege), database, sql.Identifier(role) if role is not None else sql.SQL("PUBLIC")
        )
        connection.execute(grant + sql.SQL(" WITH GRANT OPTION" if grantable else ""))
