"""The same changes to a database, written for each migration tool."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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


_SETTINGS = """
import os
from psycopg.conninfo import conninfo_to_dict

url = conninfo_to_dict(os.environ["DATABASE_URL"])
names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
place = {names[key]: value for key, value in url.items() if key in names}
options = {"options": url.get("options", "")}
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "OPTIONS": options, **place}}
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

_DJANGO_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [{parents}]
    operations = [migrations.RunSQL({up!r}, {down!r})]
"""


def _django(folder: Path, changes: Sequence[Change]) -> None:
    place = folder / "shop" / "migrations"
    place.mkdir(parents=True)
    (folder / "site_settings.py").write_text(_SETTINGS)
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "models.py").touch()  # without it Django sends no signals for the application
    (place / "__init__.py").touch()
    parents = ""
    for change in changes:
        text = _DJANGO_MIGRATION.format(parents=parents, up=change.up, down=change.down)
        (place / f"{change.name}.py").write_text(text)
        parents = repr(("shop", change.name))


def need_django() -> None:
    """Skips the test where there is no Django, except in CI: there it would never be missed."""
    if importlib.util.find_spec("django") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("django is not installed; the extra `dev` has it")
        pytest.skip("django is not installed")


KITS = {
    "alembic": Kit({"tool": "alembic"}, _alembic, id=lambda change: change.name[:4]),
    "django": Kit({"tool": "django", "settings": "site_settings"}, _django, id=lambda change: f"shop.{change.name}"),
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
