"""Data invariants: SQL statements of the team that return the rows which break a rule, and none when all is well.

The file holds one statement after another, each ended by ``;`` at a line's end and named by a line above it::

    -- name: stock-not-below-zero
    SELECT sku, quantity FROM stock WHERE quantity < 0;
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gate.database.connection import connect, explain, snapshot
from gate.errors import DatabaseError
from gate.redact import Secret, cut

if TYPE_CHECKING:
    from gate.database.connection import Connection

SAMPLE = 3  # rows shown
_LONGEST_VALUE = 79  # characters of a shown value, without the mark of a cut

_NAME = re.compile(r"--\s*name:\s*(.*?)\s*")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$", re.DOTALL)


@dataclass(frozen=True)
class Invariant:
    """One rule as it was found: ``rows`` break it, ``sample`` shows the first of them, column by column."""

    name: str
    rows: int
    sample: tuple[dict[str, str], ...]
    seconds: float

    @property
    def holds(self) -> bool:
        return self.rows == 0


@dataclass(frozen=True)
class Statement:
    """A named query of the file and the line its name stands on."""

    name: str
    line: int
    query: str


def run(url: Secret, file: Path, *, statement_timeout: float = 30.0) -> list[Invariant]:
    """Asks every statement of ``file``, all at one moment, in a transaction that cannot write.

    Raises DatabaseError when the file is faulty or a statement fails: what was not measured does not hold.
    """
    import psycopg

    statements = read(file)
    found = []
    with connect(url, statement_timeout=statement_timeout, fixed_form=False) as connection, snapshot(connection):
        for statement in statements:
            try:
                found.append(_ask(connection, statement))
            except psycopg.Error as fault:
                place = f"{file}:{statement.line}: {statement.name}"
                raise DatabaseError(f"{place}: could not be measured: {explain(url, fault)}") from None
    return found


def _ask(connection: Connection, statement: Statement) -> Invariant:
    began = time.monotonic()
    # A cursor in the server takes queries only, and does not hand over a million broken rows.
    with connection.cursor("invariant") as cursor:
        cursor.execute(statement.query.encode())
        first = cursor.fetchmany(SAMPLE)
        columns = [column.name for column in cursor.description or ()]
        rest = connection.execute("MOVE FORWARD ALL IN invariant").rowcount
    sample = tuple(
        {column: cut.head(str(value), _LONGEST_VALUE) for column, value in zip(columns, row, strict=True)}
        for row in first
    )
    return Invariant(statement.name, len(first) + rest, sample, time.monotonic() - began)


def read(file: Path) -> list[Statement]:
    """The statements of a file. Raises DatabaseError for none, for one without a name and for a name used twice."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise DatabaseError(f"{file}: cannot be read: {fault}", next_step="correct [database] invariants") from None
    found: list[Statement] = []
    name, name_line = "", 0
    query: list[str] = []
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        named = _NAME.fullmatch(stripped)
        if named is not None:
            if query or name:
                raise _fault(file, number, "a name before the statement above has ended with ;")
            name, name_line = named[1], number
            if not name or any(item.name == name for item in found):
                raise _fault(file, number, f"the name {name!r} is empty or used twice")
        elif stripped and not (stripped.startswith("--") and not query):
            query.append(line)
            if stripped.endswith(";"):
                if not name:
                    raise _fault(file, number, "a statement without a name")
                text = "\n".join(query).rstrip().removesuffix(";")
                if ";" in _QUOTED.sub("", text):
                    raise _fault(file, number, "two statements under one name")
                found.append(Statement(name, name_line, text))
                name, query = "", []
    if query or name:
        raise _fault(file, len(lines), "the last statement does not end with ;")
    if not found:
        raise _fault(file, 1, "no statement")
    return found


def _fault(file: Path, line: int, text: str) -> DatabaseError:
    return DatabaseError(
        f"{file}:{line}: {text}", next_step="write '-- name: what-must-hold', then a SELECT of the rows that break it;"
    )
