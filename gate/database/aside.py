"""Values that a downgrade drops, written to files first: a rollback loses nothing that users wrote."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gate.database import fingerprint
from gate.database.connection import connect, snapshot
from gate.errors import DatabaseError
from gate.machine import durable
from gate.redact import Secret

if TYPE_CHECKING:
    from gate.database.connection import Connection

_TIMEOUT = 600.0  # seconds for one table; users wait meanwhile

# Columns with values of their own, as the lines of ``fingerprint.schema`` name them and their tables.
_COLUMNS = """
    SELECT n.nspname, c.relname, a.attname,
           quote_ident(n.nspname) || '.' || quote_ident(c.relname),
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)),
           quote_ident(a.attname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2, a.attnum
"""


class Kept(NamedTuple):
    """One table's values: the CSV file that holds them, and how many rows."""

    file: Path
    rows: int


class _Table(NamedTuple):
    key: list[str]
    others: list[str]
    all: list[str]
    is_new: bool
    key_changed: bool

    @property
    def whole(self) -> bool:
        """Whether every row and every column counts: without its old key no row could be told from the others."""
        return self.is_new or self.key_changed or not self.key


def keep(url: Secret, before: Sequence[str], folder: Path) -> list[Kept]:
    """Writes what is in tables and columns that the schema ``before`` has not, or has in another form, to ``folder``.

    One CSV file a table, with its primary key, in UTF-8, readable by its owner alone; a table without such values has
    none. A folder that is there is left as it is, and ``folder-2`` is taken: a downgrade that failed half-way has
    dropped what was kept there. Raises DatabaseError, with no file left that is not whole.
    """
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    folder = next(place for place in itertools.chain([folder], numbered) if not place.exists())
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as fault:
        raise DatabaseError(f"{folder}: cannot be made: {fault.strerror}") from None
    with connect(url, statement_timeout=_TIMEOUT) as connection, snapshot(connection):
        old, now = fingerprint.by_name(before), fingerprint.by_name(fingerprint.schema_seen_by(connection))
        found = []
        for (schema, name), table in _tables(connection, old, now).items():
            if table.is_new or table.others or table.key_changed:
                file = folder / f"{_as_file(schema)}.{_as_file(name)}.csv"
                kept = _written(connection, (schema, name), table, file)
                found += [kept] if kept is not None else []
    try:
        for names in (folder, *itertools.islice(folder.parents, 2)):  # what it is in may be new as well
            durable.sync(names)
    except OSError as fault:
        raise DatabaseError(f"{folder}: cannot be written: {fault.strerror}") from None
    return found


def _tables(connection: Connection, old: dict[str, str], now: dict[str, str]) -> dict[tuple[str, str], _Table]:
    found: dict[tuple[str, str], _Table] = {}
    for schema, name, column, table, in_key, quoted in connection.execute(_COLUMNS).fetchall():
        is_new = f"table {table}" not in old
        entry = found.setdefault((schema, name), _Table([], [], [], is_new, key_changed=False))
        entry.all.append(column)
        line = f"column {table}.{quoted}"
        changed = old.get(line) != now.get(line)
        if in_key:
            entry.key.append(column)
            found[schema, name] = entry._replace(key_changed=entry.key_changed or changed)
        elif changed:
            entry.others.append(column)
    return found


def _as_file(name: str) -> str:
    """A name no other name becomes as well, for a file: what the file system or the dot between two would take."""
    return name.replace("%", "%25").replace("/", "%2F").replace(".", "%2E")


def _written(connection: Connection, name: tuple[str, str], table: _Table, file: Path) -> Kept | None:
    from psycopg import sql

    columns = table.all if table.whole else [*table.key, *table.others]
    some = sql.SQL(" OR ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(column)) for column in table.others)
    query = sql.SQL("COPY (SELECT {} FROM ONLY {} WHERE {}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(*name),
        sql.SQL("true") if table.is_new or table.key_changed else some,
    )
    partial = file.with_suffix(".partial")
    try:
        with (
            os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream,
            connection.cursor() as cursor,
        ):
            with cursor.copy(query) as rows:
                for piece in rows:
                    stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
            count = cursor.rowcount
        if count:
            partial.replace(file)
    except OSError as fault:
        raise DatabaseError(f"{file}: cannot be written: {fault.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return Kept(file, count) if count else None
