"""Invariants: measured or an error, never silently true."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.database import invariants
from gate.errors import DatabaseError
from gate.redact import Secret
from tests.database.project import PASSWORD, run

GOOD = """
-- What must hold.

-- name: no-free-items
SELECT id, name FROM items
WHERE price <= 0;  -- a price of zero is a mistake

-- name: names-are-told-apart
SELECT name, count(*) FROM items WHERE name NOT LIKE '100%;' GROUP BY name HAVING count(*) > 1;
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "invariants.sql"


def test_all_hold(constant: Secret, file: Path) -> None:
    file.write_text(GOOD.replace(";  -- a price of zero is a mistake", ";"))
    found = invariants.run(constant, file)
    assert [(item.name, item.rows, item.holds) for item in found] == [
        ("no-free-items", 0, True),
        ("names-are-told-apart", 0, True),
    ]


def test_a_broken_one_shows_how_many_and_which(shop: Secret, file: Path) -> None:
    file.write_text(GOOD.replace(";  -- a price of zero is a mistake", ";"))
    run(shop, "UPDATE items SET price = 0, name = repeat('x', 1000) || id WHERE id <= 40")
    first, second = invariants.run(shop, file)
    assert (first.rows, first.holds, second.holds) == (40, False, True)
    assert len(first.sample) == invariants.SAMPLE
    assert first.sample[0].keys() == {"id", "name"}
    assert all(len(row["name"]) <= 80 for row in first.sample)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no statement"),
        ("-- only a comment\n", "no statement"),
        ("SELECT 1;\n", ":1: a statement without a name"),
        ("-- name: a\nSELECT 1\n", "does not end with ;"),
        ("-- name: a\nSELECT 1\n-- name: b\nSELECT 2;\n", ":3: a name before the statement above"),
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n", ":3: the name 'a' is empty or used twice"),
        ("-- name:\nSELECT 1;\n", ":1: the name '' is empty or used twice"),
        ("-- name: a\n", "does not end with ;"),
        ("-- name: a\nSELECT 1; SELECT 2;\n", ":2: two statements under one name"),
        ("-- name: a\nSELECT 1; -- why\n", "does not end with ;"),
    ],
)
def test_a_faulty_file_is_an_error(constant: Secret, file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(DatabaseError) as caught:
        invariants.run(constant, file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT no_such_column FROM items",
        "SELECT 1 / 0",
        "DELETE FROM items",
        "WITH gone AS (DELETE FROM items RETURNING 1) SELECT * FROM gone",
        "SELECT pg_sleep(20)",
        "SELECT nextval('items_id_seq')",
    ],
)
def test_a_statement_that_fails_never_holds(constant: Secret, file: Path, query: str) -> None:
    file.write_text(f"-- name: first\nSELECT 1 WHERE false;\n\n-- name: wrong\n{query};\n")
    with pytest.raises(DatabaseError, match=r"invariants\.sql:4: wrong: could not be measured") as caught:
        invariants.run(constant, file, statement_timeout=0.3)
    assert PASSWORD not in str(caught.value)
    assert run(constant, "SELECT count(*) FROM items") == [(500,)]


def test_a_missing_file_is_an_error(constant: Secret, file: Path) -> None:
    with pytest.raises(DatabaseError, match=r"invariants\.sql: cannot be read"):
        invariants.run(constant, file)


def test_a_semicolon_in_quotes_is_text(file: Path) -> None:
    file.write_text("-- name: a\nSELECT ';' AS x, $$ ; $$, \"a;b\" -- ; too\nFROM t /* ; */;\n")
    assert [item.name for item in invariants.read(file)] == ["a"]
