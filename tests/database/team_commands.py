"""What a team could have: a little migration tool of its own that keeps the gate's contract for commands."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psycopg

FOLDER = Path("migrations")
TABLE = "CREATE TABLE IF NOT EXISTS applied (id text PRIMARY KEY)"
TRY_AGAIN = 75


def ids() -> list[str]:
    return sorted(file.name.removesuffix(".up.sql") for file in FOLDER.glob("*.up.sql"))


def connect() -> psycopg.Connection[tuple[str]]:
    return psycopg.connect(os.environ["DATABASE_URL"])


def applied() -> list[str]:
    with connect() as connection:
        if connection.execute("SELECT FROM pg_tables WHERE tablename = 'applied'").fetchone() is None:
            return []
        return [row[0] for row in connection.execute("SELECT id FROM applied ORDER BY id")]


def described(revision: str) -> dict[str, object]:
    down = FOLDER / f"{revision}.down.sql"
    return {
        "id": revision,
        "title": revision[5:],
        "file": f"{FOLDER}/{revision}.up.sql",
        "has_downgrade": down.exists(),
    }


def later(start: str) -> list[str]:
    return [revision for revision in ids() if start == "none" or revision > start]


def change(way: str, revision: str) -> None:
    with connect() as connection:
        connection.execute(TABLE)
        connection.execute((FOLDER / f"{revision}.{way}.sql").read_bytes())
        if way == "up":
            connection.execute("INSERT INTO applied VALUES (%s)", [revision])
            return
        connection.execute("DELETE FROM applied WHERE id = %s", [revision])
        if connection.execute("SELECT FROM applied").fetchone() is None:
            connection.execute("DROP TABLE applied")


def main(command: str, *arguments: str) -> int:
    match command:
        case "revisions":
            print(json.dumps([described(revision) for revision in ids()]))
        case "current":
            print(*applied()[-1:] or ["none"])
        case "pending":
            done = applied()
            print("\n".join(revision for revision in ids() if revision not in done) or "none")
        case "sql":
            print(*((FOLDER / f"{revision}.up.sql").read_text() for revision in later(arguments[0])))
        case _:
            try:
                change(command, *arguments)
            except psycopg.errors.LockNotAvailable:
                return TRY_AGAIN
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
