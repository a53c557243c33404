"""A tiny release that carries Alembic migrations, and the environment it is deployed to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gate.config import Environment
from gate.config.parsing import parse
from gate.database.connection import connect
from gate.redact import Secret
from gate.releases import Release

PASSWORD = "s3cret-of-the-tests"

_INI = """
[alembic]
script_location = migrations
path_separator = os
"""

_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

url = {url}.replace("postgresql://", "postgresql+psycopg://", 1)
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""

_REVISION = '''"""{title}"""

from alembic import op

revision = {name!r}
down_revision = {parent!r}


def upgrade():
    {up}


def downgrade():
    {down}
'''

ITEMS = {
    "up": 'op.execute("CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, price numeric NOT NULL)")',
    "down": 'op.execute("DROP TABLE items")',
}
NOTE = {
    "up": 'op.execute("ALTER TABLE items ADD COLUMN note text")',
    "down": 'op.execute("ALTER TABLE items DROP COLUMN note")',
}


def revision(
    name: str, parent: str | None, up: str = "pass", down: str = "pass", title: str = "a change"
) -> tuple[str, str]:
    """A migration's file name and content; ``up`` and ``down`` are the bodies of its two functions."""
    lines = {"up": up.replace("\n", "\n    "), "down": down.replace("\n", "\n    ")}
    return f"{name}_change.py", _REVISION.format(name=name, parent=parent, title=title, **lines)


def first() -> tuple[str, str]:
    return revision("0001", None, **ITEMS, title="The items we sell")


def second() -> tuple[str, str]:
    return revision("0002", "0001", **NOTE, title="A note to an item")


def release(
    folder: Path, *revisions: tuple[str, str], version: str = "1.0.0", url: str = 'os.environ["DATABASE_URL"]'
) -> Release:
    """A release in ``folder`` with these migrations; ``url`` is where its env.py takes the database's URL from."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(_INI)
    (folder / "migrations" / "env.py").write_text(_ENV.format(url=url))
    (folder / "migrations" / "script.py.mako").write_text("")
    for name, text in revisions:
        (versions / name).write_text(text)
    return Release(version=version, digest="sha256:0", commit=None, folder=folder)


def environment(root: Path, url: Secret, **database: Any) -> Environment:
    """An environment whose database is ``url``; its state lies below ``root``."""
    table: dict[str, Any] = {
        "app": {"name": "tiny", "url": "http://127.0.0.1:1"},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "services": {
            "web": {"command": ["true"], "route": "/", "health": "/health", "identity": "/version#version"},
        },
        "traffic": {"listen": "127.0.0.1:18099"},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
        "database": {"url": url.reveal(), "migrations": {"tool": "alembic"}, "lock_timeout": "500ms"} | database,
    }
    return parse(table, {}, name="here", file=root / "environments" / "here.toml", root=root)


def run(url: Secret, *statements: str) -> list[tuple[Any, ...]]:
    """Runs statements as the application would, search path and all; the rows of the last one that gave any."""
    rows: list[tuple[Any, ...]] = []
    with connect(url, fixed_form=False) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description is not None else rows
    return rows


def at_first(url: Secret) -> None:
    """Leaves an empty database as the migration ``first`` does, without the time Alembic takes."""
    run(
        url,
        "CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, price numeric NOT NULL)",
    )


def fill(url: Secret) -> None:
    """Puts a little of everything that is hard to compare into an empty database."""
    run(
        url,
        "CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, price numeric NOT NULL)",
        "INSERT INTO items (name, price) SELECT 'item ' || i, i * 1.1 FROM generate_series(1, 500) i",
        'CREATE TABLE "Odd names; really" ("a b" double precision, "select" bytea, at timestamptz)',
        """INSERT INTO "Odd names; really" VALUES (0.1, 'abc', now()), ('NaN', NULL, 'infinity'), (NULL, '', NULL)""",
        "CREATE TABLE nothing_in_it (x int)",
        "CREATE TABLE no_columns ()",
        "CREATE VIEW cheap AS SELECT name FROM items WHERE price < 10",
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE TABLE moods (mood mood, tags text[], more jsonb, twice int GENERATED ALWAYS AS (1 + 1) STORED)",
        """INSERT INTO moods VALUES ('bad', ARRAY['x', NULL], '{"a": [1, null]}')""",
        "CREATE TABLE days (day date) PARTITION BY RANGE (day)",
        "CREATE TABLE days_2026 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "INSERT INTO days VALUES ('2026-11-24'), ('2026-11-24')",
        "GRANT SELECT ON items TO reader",
        "SELECT lo_from_bytea(0, 'a large object')",
    )
