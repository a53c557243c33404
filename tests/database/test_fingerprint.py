"""Two databases are equal when they hold the same, and only then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import Connection

from gate.database import fingerprint
from gate.database.cluster import Cluster
from gate.database.connection import connect
from gate.database.fingerprint import LARGE_OBJECTS
from gate.errors import DatabaseError
from gate.redact import Secret
from tests.database.project import run


@contextmanager
def tried(url: Secret) -> Iterator[tuple[Connection[Any], Callable[[str], object]]]:
    """A transaction that is taken back, and how to change something in it."""

    def change(statement: str) -> None:
        connection.execute("SET LOCAL search_path = public")
        connection.execute(statement.encode())
        connection.execute("SET LOCAL search_path = pg_catalog")

    with connect(url) as connection, connection.transaction(force_rollback=True):
        yield connection, change


def test_every_table_is_counted(constant: Secret) -> None:
    found = {name: table.rows for name, table in fingerprint.data(constant).items()}
    assert found == {
        "public.items": 500,
        "public.Odd names; really": 3,
        "public.nothing_in_it": 0,
        "public.no_columns": 0,
        "public.moods": 1,
        "public.days_2026": 2,
        LARGE_OBJECTS: 1,
    }


def test_a_table_may_be_left_out(constant: Secret) -> None:
    assert "public.items" not in fingerprint.data(constant, exclude={"public.items"})


def test_order_of_rows_and_columns_does_not_matter(shop: Secret) -> None:
    before = fingerprint.data(shop)
    run(
        shop,
        "CREATE TABLE other (price numeric NOT NULL, id int PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO other (id, name, price) SELECT id, name, price FROM items ORDER BY id DESC",
        "DROP TABLE items CASCADE",
        "ALTER TABLE other RENAME TO items",
    )
    assert fingerprint.data_difference(before, fingerprint.data(shop)) == []


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (
            "UPDATE items SET name = 'Item 7' WHERE id = 7",
            "table public.items: same number of rows (500), other content",
        ),
        ("DELETE FROM items WHERE id = 7", "table public.items: 500 → 499 rows"),
        ("INSERT INTO no_columns DEFAULT VALUES", "table public.no_columns: 0 → 1 rows"),
        ("UPDATE moods SET tags = ARRAY['x', 'NULL']", "table public.moods: same number of rows (1), other content"),
        (
            """UPDATE "Odd names; really" SET "select" = '' WHERE "select" IS NULL""",
            "table public.Odd names; really: same number of rows (3), other content",
        ),
        (
            """UPDATE "Odd names; really" SET "a b" = 0.1 + 1e-17 * 2 WHERE "a b" = 0.1""",
            "table public.Odd names; really: same number of rows (3), other content",
        ),
        ("DROP TABLE nothing_in_it", "missing: table public.nothing_in_it"),
        ("CREATE TABLE more ()", "new: table public.more"),
        (
            "SELECT lo_put(oid, 0, 'A') FROM pg_largeobject_metadata",
            "table (large objects): same number of rows (1), other content",
        ),
    ],
)
def test_every_change_of_data_is_seen(constant: Secret, change: str, seen: str) -> None:
    with tried(constant) as (connection, run_change):
        before = fingerprint.data_seen_by(connection)
        run_change(change)
        assert fingerprint.data_difference(before, fingerprint.data_seen_by(connection)) == [seen]


def test_a_snapshot_does_not_see_what_came_later(shop: Secret) -> None:
    before = fingerprint.data(shop)
    with connect(shop) as holder, holder.transaction():
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        row = holder.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        run(shop, "DELETE FROM items")
        assert fingerprint.data(shop, row[0]) == before
    assert fingerprint.data(shop) != before


def test_a_table_that_may_not_be_read_is_an_error(shop: Secret, server: Cluster) -> None:
    name = shop.reveal().split("@/")[1].split("?")[0]
    run(server.url(name), "CREATE TABLE hidden (x int)")
    with pytest.raises(DatabaseError, match=r"lacks a privilege.*hidden"):
        fingerprint.data(shop)


def test_sequences_may_go_on_but_not_back(shop: Secret) -> None:
    run(shop, "CREATE SEQUENCE down INCREMENT -1", "SELECT nextval('down')")
    before = fingerprint.sequences(shop)
    assert before["public.items_id_seq"].value == 500
    run(shop, "SELECT nextval('items_id_seq')", "SELECT nextval('down')")
    assert fingerprint.sequence_difference(before, fingerprint.sequences(shop)) == []
    run(shop, "SELECT setval('items_id_seq', 500, false)", "SELECT setval('down', -1, false)")
    assert fingerprint.sequence_difference(before, fingerprint.sequences(shop)) == [
        "sequence public.down: stands at 0, was at -1",
        "sequence public.items_id_seq: stands at 499, was at 500",
    ]
    run(shop, "DROP SEQUENCE down")
    assert "missing: sequence public.down" in fingerprint.sequence_difference(before, fingerprint.sequences(shop))


CHANGES = {
    "ALTER TABLE items ADD COLUMN note text": "new: column public.items.note (text)",
    "ALTER TABLE nothing_in_it DROP COLUMN x": "missing: column public.nothing_in_it.x (integer)",
    "ALTER TABLE nothing_in_it ALTER x TYPE bigint": "changed: column public.nothing_in_it.x: integer → bigint",
    "ALTER TABLE nothing_in_it ALTER x SET NOT NULL": "changed: column public.nothing_in_it.x: integer → integer not",
    "ALTER TABLE nothing_in_it ALTER x SET DEFAULT 3": "changed: column public.nothing_in_it.x: integer → integer def",
    "ALTER TABLE nothing_in_it ADD CHECK (x > 0)": (
        "new: constraint public.nothing_in_it.nothing_in_it_x_check (CHECK ((x > 0)))"
    ),
    "CREATE INDEX by_name ON items (name)": (
        "new: index public.by_name (CREATE INDEX by_name ON public.items USING btree (name))"
    ),
    "CREATE OR REPLACE VIEW cheap AS SELECT name FROM items WHERE price < 5": "changed: view public.cheap",
    "DROP VIEW cheap": "missing: view public.cheap",
    "ALTER TYPE mood ADD VALUE 'new'": "changed: enum public.mood: 'good', 'bad' → 'good', 'bad', 'new'",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)": "new: domain public.positive (integer CHECK ((VALUE > 0)))",
    "CREATE TYPE pair AS (a int, b int)": "new: type public.pair",
    "ALTER SEQUENCE items_id_seq INCREMENT 2": "changed: sequence public.items_id_seq",
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'": "new: function public.one()",
    "CREATE PROCEDURE two() LANGUAGE sql AS 'SELECT 1'": "new: procedure public.two()",
    "CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int)": "new: aggregate public.total(integer)",
    "CREATE TRIGGER t BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()": (
        "new: trigger public.items.t"
    ),
    "ALTER TABLE items ENABLE ROW LEVEL SECURITY": "changed: table public.items: plain → row security",
    "CREATE POLICY mine ON items USING (price > 1)": "new: policy public.items.mine",
    "CREATE RULE r AS ON DELETE TO items DO INSTEAD NOTHING": "new: rule public.items.r",
    "CREATE STATISTICS s ON name, price FROM items": "new: statistics public.s",
    "CREATE SCHEMA more": "new: schema more",
    "CREATE MATERIALIZED VIEW m AS SELECT 1 AS x": "new: materialized view public.m",
    "CREATE TABLE days_2027 PARTITION OF days FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')": (
        "new: table public.days_2027 (FOR VALUES FROM ('2027-01-01') TO ('2028-01-01') inherits public.days)"
    ),
    "ALTER TABLE nothing_in_it SET UNLOGGED": "changed: table public.nothing_in_it: plain → unlogged",
    "ALTER TABLE items DROP CONSTRAINT items_pkey": "missing: constraint public.items.items_pkey",
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_schema_is_seen(constant: Secret, change: str) -> None:
    with tried(constant) as (connection, run_change):
        before = fingerprint.schema_seen_by(connection)
        run_change(change)
        found = fingerprint.difference(before, fingerprint.schema_seen_by(connection))
    assert any(line.startswith(CHANGES[change]) for line in found), found


def test_an_index_that_was_not_finished_is_seen(shop: Secret) -> None:
    run(shop, "INSERT INTO nothing_in_it VALUES (1), (1)")
    before = fingerprint.schema(shop)
    with pytest.raises(DatabaseError):
        run(shop, "CREATE UNIQUE INDEX CONCURRENTLY half ON nothing_in_it (x)")
    (line,) = fingerprint.difference(before, fingerprint.schema(shop))
    assert line.startswith("new: index public.half")
    assert "INVALID" in line


def test_the_same_schema_made_otherwise_is_equal(shop: Secret) -> None:
    before = fingerprint.schema(shop)
    run(
        shop,
        "ALTER TABLE items DROP COLUMN price CASCADE",
        "ALTER TABLE items ADD COLUMN price numeric NOT NULL DEFAULT 0",
        "ALTER TABLE items ALTER price DROP DEFAULT",
        "CREATE VIEW cheap AS SELECT name FROM items WHERE price < 10",
    )
    assert fingerprint.difference(before, fingerprint.schema(shop)) == []


def test_objects_of_extensions_are_not_ours(shop: Secret, server: Cluster) -> None:
    name = shop.reveal().split("@/")[1].split("?")[0]
    before = fingerprint.schema(shop)
    run(server.url(name), "CREATE EXTENSION pg_stat_statements")
    assert fingerprint.difference(before, fingerprint.schema(shop)) == ["new: extension pg_stat_statements"]
