"""Migrations: up, down and up again give the same schema, with the data still there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from tests.store.running import alembic, query


def schema(database: str) -> list[tuple[object, ...]]:
    """Columns, constraints and indexes, in an order that does not depend on how they came about."""
    return query(
        database,
        """
        SELECT table_name, column_name, data_type, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
        ORDER BY 1, 2, 3
        """,
    )


def test_down_and_up_again_is_where_it_was(
    release: Callable[[str], Path], new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = new_database()
    # In this process: so many steps, each in one of its own, would take a second each.
    monkeypatch.setenv("DATABASE_URL", database)
    config = Config(release("1.1.0") / "alembic.ini")
    seen = []
    for revision in ("0001", "0002", "0003", "0004", "0005"):
        command.upgrade(config, revision)
        seen.append(schema(database))
    for expected in reversed(seen[:-1]):
        command.downgrade(config, "-1")
        assert schema(database) == expected
    command.downgrade(config, "base")
    assert {row[0] for row in schema(database)} == {"alembic_version"}
    command.upgrade(config, "head")
    assert schema(database) == seen[-1]
    assert query(database, "SELECT revision FROM schema_history ORDER BY 1") == [(f"000{n}",) for n in range(1, 6)]


def test_the_next_release_only_adds(release: Callable[[str], Path], migrated: Callable[[str], str]) -> None:
    database = migrated("1.0.0")
    before = set(schema(database))
    assert alembic(release("1.1.0"), database, "upgrade", "head").returncode == 0
    assert before < set(schema(database))


def test_the_opening_data_keeps_every_invariant(release: Callable[[str], Path], migrated: Callable[[str], str]) -> None:
    database, folder = migrated("1.1.0"), release("1.1.0")
    rules = re.findall(r"-- name: (\S+)\n(.*?;)", (folder / "invariants.sql").read_text(), re.DOTALL)
    assert len(rules) >= 8
    with psycopg.connect(database) as connection:
        assert {name: connection.execute(rule.encode()).fetchall() for name, rule in rules} == {
            name: [] for name, _ in rules
        }


def test_a_lock_that_does_not_come_fails_the_migration(
    release: Callable[[str], Path], migrated: Callable[[str], str]
) -> None:
    database = migrated("1.0.0")
    with psycopg.connect(database) as connection:
        connection.execute("SELECT count(*) FROM sales")  # an open transaction, as a long report has
        blocked = alembic(release("1.1.0"), database, "upgrade", "head")
    assert blocked.returncode != 0
    assert "LockNotAvailable" in blocked.stderr
    assert query(database, "SELECT version_num FROM alembic_version") == [("0004",)]


def test_the_sql_of_a_migration_can_be_read_without_a_database(release: Callable[[str], Path]) -> None:
    shown = alembic(release("1.1.0"), "postgresql://nobody@127.0.0.1:1/none", "upgrade", "0004:head", "--sql")
    assert shown.returncode == 0, shown.stderr
    assert "ALTER TABLE sales ADD COLUMN note text" in shown.stdout
    assert "INSERT INTO schema_history (revision) VALUES ('0005')" in shown.stdout


def test_without_a_database_url_it_says_so(release: Callable[[str], Path]) -> None:
    failed = alembic(release("1.1.0"), "", "upgrade", "head")
    assert failed.returncode == 1
    assert failed.stderr.startswith("migrations: DATABASE_URL is not set")


@pytest.mark.parametrize(
    ("defect", "up", "down"),
    [("migration-breaks-old", 0, 0), ("migration-has-no-downgrade", 0, 1), ("migration-fails-half-way", 1, None)],
)
def test_defective_migrations(
    assembled: Callable[[str], Path], migrated: Callable[[str], str], defect: str, up: int, down: int | None
) -> None:
    database, folder = migrated("1.1.0"), assembled(f"1.1.0+{defect}")
    before = schema(database)
    assert alembic(folder, database, "upgrade", "head").returncode == up
    assert schema(database) != before  # of the one that fails, half has stayed
    if down is not None:
        assert alembic(folder, database, "downgrade", "-1").returncode == down
        assert (schema(database) == before) == (down == 0)
