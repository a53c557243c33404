"""Whether two databases hold the same: rows and an order-free checksum per table, sequences, and the schema in lines.

Everything read is visible to every role that may read the tables; nothing depends on the order of rows or columns, on
object ids, or on settings of the server and the role.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gate.database import catalog
from gate.database.connection import connect, snapshot
from gate.redact import Secret

if TYPE_CHECKING:
    from gate.database.connection import Connection

_TIMEOUT = 3600.0  # seconds for one table; the largest decides

LARGE_OBJECTS = "(large objects)"


@dataclass(frozen=True)
class TableFingerprint:
    """How many rows a table has and the sum of their hashes: equal for equal rows in any order."""

    rows: int
    checksum: str


@dataclass(frozen=True)
class Sequenced:
    """Where a sequence stands, and whether it counts upwards."""

    value: int
    upwards: bool


def data(
    url: Secret,
    snapshot_id: str | None = None,
    exclude: Collection[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, TableFingerprint]:
    """The fingerprint of every table, all from one moment; ``exclude`` leaves out tables such as ``public.log``.

    ``progress`` is told which table is read.

    Raises DatabaseError, also for a table that the role may not read or only in part.
    """
    with connect(url, statement_timeout=_TIMEOUT) as connection, snapshot(connection, snapshot_id):
        return data_seen_by(connection, exclude, progress)


def data_seen_by(
    connection: Connection, exclude: Collection[str] = (), progress: Callable[[str], None] = lambda _: None
) -> dict[str, TableFingerprint]:
    """The same as ``data``, in the transaction of a connection."""
    from psycopg import sql

    found = {}
    tables = connection.execute(catalog.TABLES).fetchall()
    for number, (schema_name, table, columns) in enumerate(tables, start=1):
        shown = f"{schema_name}.{table}"
        if shown in exclude:
            continue
        progress(f"reading table {number} of {len(tables)}, {shown}")
        row = sql.SQL("ROW({})").format(sql.SQL(", ").join(sql.Identifier("t", name) for name in columns))
        query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended({}::text, 0)), 0)::text FROM ONLY {} AS t")
        counted = connection.execute(query.format(row, sql.Identifier(schema_name, table))).fetchone()
        assert counted is not None  # noqa: S101 - an aggregate always gives one row
        found[shown] = TableFingerprint(*counted)
    objects = connection.execute(catalog.LARGE_OBJECTS).fetchone()
    if objects is not None and objects[0]:
        found[LARGE_OBJECTS] = TableFingerprint(*objects)
    return found


def sequences(url: Secret) -> dict[str, Sequenced]:
    """Where every sequence stands. Sequences know no snapshots: under load they are ahead of the tables' moment."""
    with connect(url) as connection:
        return sequences_seen_by(connection)


def sequences_seen_by(connection: Connection) -> dict[str, Sequenced]:
    """The same as ``sequences``, on a connection."""
    from psycopg import sql

    found = {}
    for schema_name, name, increment in connection.execute(catalog.SEQUENCES).fetchall():
        query = sql.SQL("SELECT last_value - CASE WHEN is_called THEN 0 ELSE {} END FROM {}")
        row = connection.execute(query.format(sql.Literal(increment), sql.Identifier(schema_name, name))).fetchone()
        assert row is not None  # noqa: S101 - a sequence is a relation of one row
        found[f"{schema_name}.{name}"] = Sequenced(row[0], increment > 0)
    return found


def schema(url: Secret) -> list[str]:
    """The schema in sorted lines ``kind name: definition``: tables, columns, constraints, indexes, code, types.

    Not in it: owners, privileges, comments, column order, storage settings of columns. Raises DatabaseError.
    """
    with connect(url) as connection, snapshot(connection):
        return schema_seen_by(connection)


def schema_seen_by(connection: Connection) -> list[str]:
    """The same as ``schema``, in the transaction of a connection."""
    return sorted(
        f"{kind} {name}{': ' if definition else ''}{definition}".replace("\n", " ")
        for query in catalog.SCHEMA
        for kind, name, definition in connection.execute(query)
    )


def difference(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """What tells two schemas apart, in lines a person reads; empty when they are equal."""
    old, new = by_name(before), by_name(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if now is None:
            lines.append(f"missing: {name} ({was})" if was else f"missing: {name}")
        elif was is None:
            lines.append(f"new: {name} ({now})" if now else f"new: {name}")
        elif was != now:
            lines.append(f"changed: {name}: {was or 'plain'} → {now or 'plain'}")
    return lines


def data_difference(before: Mapping[str, TableFingerprint], after: Mapping[str, TableFingerprint]) -> list[str]:
    """What tells the rows of two databases apart; empty when they are equal."""
    lines = []
    for table in sorted(before.keys() | after.keys()):
        was, now = before.get(table), after.get(table)
        if now is None:
            lines.append(f"missing: table {table}")
        elif was is None:
            lines.append(f"new: table {table}")
        elif was.rows != now.rows:
            lines.append(f"table {table}: {was.rows} → {now.rows} rows")
        elif was.checksum != now.checksum:
            lines.append(f"table {table}: same number of rows ({was.rows}), other content")
    return lines


def sequence_difference(before: Mapping[str, Sequenced], after: Mapping[str, Sequenced]) -> list[str]:
    """Sequences that are gone or stand behind where they stood, so that numbers would be given out twice.

    One that went on is no difference: gaps are normal.
    """
    lines = []
    for name, was in sorted(before.items()):
        now = after.get(name)
        if now is None:
            lines.append(f"missing: sequence {name}")
        elif (now.value < was.value) if was.upwards else (now.value > was.value):
            lines.append(f"sequence {name}: stands at {now.value}, was at {was.value}")
    return lines


def by_name(lines: Sequence[str]) -> dict[str, str]:
    """A schema's lines as ``kind name`` → definition."""
    parts = (line.partition(": ") for line in lines)
    return {name: definition for name, _, definition in parts}
