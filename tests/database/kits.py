"""The same changes to a database, written for each migration tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gate.releases import Release
from tests.database import project

COMMANDS = Path(__file__).with_name("team_commands.py")


@dataclass(frozen=True)
class Change:
    """One migration: a name with a number, and SQL; without ``down`` it cannot be taken back."""

    name: str
    up: str
    down: str | None


ITEMS = Change(
    "0001_items",
    "CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, price numeric NOT NULL)",
    "DROP TABLE items",
)
NOTE = Change("0002_note", "ALTER TABLE items ADD COLUMN note text", "ALTER TABLE items DROP COLUMN note")


@dataclass(frozen=True)
class Kit:
    """``table`` is [database.migrations]; ``write`` puts changes into a release's folder; ``id`` is a change's id."""

    table: dict[str, Any]
    write: Callable[[Path, Sequence[Change]], None]
    id: Callable[[Change], str] = lambda change: change.name

    def release(self, folder: Path, *changes: Change) -> Release:
        folder.mkdir(parents=True, exist_ok=True)
        self.write(folder, changes)
        return Release(version="1.0.0", digest="sha256:0", commit=None, folder=folder)


def _alembic(folder: Path, changes: Sequence[Change]) -> None:
    made = []
    parent = None
    for change in changes:
        number = change.name[:4]
        down = f"op.execute({change.down!r})" if change.down else "pass"
        made.append(project.revision(number, parent, f"op.execute({change.up!r})", down))
        parent = number
    project.release(folder, *made)


def _sql(folder: Path, changes: Sequence[Change]) -> None:
    (folder / "migrations").mkdir()
    for change in changes:
        (folder / "migrations" / f"{change.name}.up.sql").write_text(f"{change.up};\n")
        if change.down:
            (folder / "migrations" / f"{change.name}.down.sql").write_text(f"{change.down};\n")


def _command(folder: Path, changes: Sequence[Change]) -> None:
    _sql(folder, changes)
    (folder / "migrate.py").write_text(COMMANDS.read_text())


KITS = {
    "alembic": Kit({"tool": "alembic"}, _alembic, id=lambda change: change.name[:4]),
    "sql": Kit({"tool": "sql"}, _sql),
    "command": Kit(
        {
            "tool": "command",
            "revisions": ["{python}", "migrate.py", "revisions"],
            "current": ["{python}", "migrate.py", "current"],
            "pending": ["{python}", "migrate.py", "pending"],
            "up": ["{python}", "migrate.py", "up", "{revision}"],
            "down": ["{python}", "migrate.py", "down", "{revision}"],
            "sql": ["{python}", "migrate.py", "sql", "{start}"],
            "timeout": "20s",
        },
        _command,
    ),
}
