"""Connections to the application's PostgreSQL: short time-outs, and errors without the password.

psycopg is imported when the first connection is made: it costs more to import than the rest of the gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from gate.database.ways import by_way
from gate.errors import DatabaseError
from gate.redact import Redactor, Secret

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT = 5  # seconds

_DRIVER = re.compile(r"^(postgres(?:ql)?)\+[a-z0-9_]+://")

# How values become text must not depend on the server's or the role's settings: checksums are made of that text.
_FIXED_FORM = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
}


def parameters(url: Secret) -> dict[str, str]:
    """The parts of a URL by libpq's names. Raises DatabaseError for one that libpq cannot read."""
    import psycopg

    try:
        parts = psycopg.conninfo.conninfo_to_dict(_DRIVER.sub(r"\1://", url.reveal()))
    except psycopg.ProgrammingError:
        raise DatabaseError(
            "[database] url: not a PostgreSQL URL; write postgresql://USER:PASSWORD@HOST/NAME"
        ) from None
    return {key: str(value) for key, value in parts.items() if value is not None}


def reached(url: Secret) -> dict[str, str]:
    """The same, as this machine connects to it. Raises DatabaseError, also where there is no way."""
    return by_way(url, parameters(url), where(url))


def where(url: Secret) -> str:
    """``database store at 127.0.0.1:15432``: which database a URL names, for messages."""
    parts = parameters(url)
    name = parts.get("dbname") or parts.get("user") or "postgres"
    host = parts.get("host", "localhost")
    return f"database {name} at {host}" + ("" if host.startswith("/") else f":{parts.get('port', '5432')}")


def at_socket(url: Secret, socket: Secret, *, user: str, password: str, name: str) -> Secret:
    """The URL of a private server, written with the scheme (``postgresql+driver:``) the application is used to."""
    place = parameters(socket)
    scheme = url.reveal().partition("://")[0]
    query = urlencode({"host": place["host"], "port": place["port"]}, quote_via=quote, safe="/")
    return Secret(f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@/{quote(name, safe='')}?{query}")


@contextmanager
def connect(
    url: Secret, *, statement_timeout: float = 60.0, lock_timeout: float = 5.0, fixed_form: bool = True
) -> Iterator[Connection]:
    """An autocommit connection; time-outs in seconds. Policies that would hide rows make a query fail.

    ``fixed_form``: values have one text form, whatever the server's and role's settings, and every name is qualified.
    Raises DatabaseError, also for every database error inside the block.
    """
    import psycopg

    parts = reached(url) | {"connect_timeout": str(CONNECT_TIMEOUT), "application_name": "deploy-gate"}
    try:
        connection = psycopg.connect(**parts, autocommit=True)  # type: ignore[arg-type]
    except psycopg.Error as fault:
        text = scrubbed(url, str(fault)).splitlines()
        raise DatabaseError(
            f"{where(url)} cannot be reached: {text[0] if text else type(fault).__name__}",
            next_step="start the server, or correct [database] url",
        ) from None
    settings = (_FIXED_FORM if fixed_form else {}) | {
        "row_security": "off",
        "statement_timeout": f"{statement_timeout * 1000:.0f}",
        "lock_timeout": f"{lock_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": "0",
    }
    with connection:
        try:
            put = (
                "SELECT pg_catalog.set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s(name, value)"
            )
            connection.execute(put, (list(settings), list(settings.values())))
            yield connection
        except psycopg.Error as fault:
            raise DatabaseError(f"{where(url)}: {explain(url, fault)}") from None


@contextmanager
def snapshot(connection: Connection, snapshot_id: str | None = None) -> Iterator[None]:
    """A read-only transaction that sees the database at one moment: that of ``snapshot_id`` if given."""
    from psycopg import sql

    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if snapshot_id is not None:
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot_id)))
        yield


def explain(url: Secret, fault: psycopg.Error) -> str:
    """A server's error in one line: what it says, what its code means, nothing of the rows concerned."""
    hints = {
        "42501": "the role of [database] url lacks a privilege",
        "57014": "took longer than statement_timeout",
        "55P03": "waited longer than lock_timeout for a lock",
        "53300": "the server has no free connection",
    }
    said = fault.diag.message_primary or (str(fault).splitlines() or [type(fault).__name__])[0]
    hint = hints.get(fault.sqlstate or "")
    return scrubbed(url, f"{hint}: {said}" if hint else said)


def scrubbed(url: Secret, text: str) -> str:
    """``text`` without the URL and its password."""
    return Redactor([url.reveal(), parameters(url).get("password", "")])(text)
