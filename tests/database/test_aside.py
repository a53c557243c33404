"""What a downgrade would drop is in files before it does."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gate.database import aside, fingerprint
from gate.errors import DatabaseError
from gate.redact import Secret
from tests.database.project import run

BEFORE = (
    "CREATE TABLE sale (id bigint PRIMARY KEY, note text, total int)",
    "CREATE TABLE plain (word text)",
    "INSERT INTO sale VALUES (1, 'a', 5), (2, NULL, 7)",
    "INSERT INTO plain VALUES ('x')",
)
AFTER = (
    "ALTER TABLE sale ADD tip int, ADD never text, ADD twice bigint GENERATED ALWAYS AS (id * 2) STORED",
    "ALTER TABLE sale ALTER total TYPE numeric",
    "ALTER TABLE plain ADD mark text",
    "CREATE TABLE guest (name text, \"Odd; name\" text)",
    "CREATE TABLE nobody (name text)",
    "UPDATE sale SET tip = 3 WHERE id = 2",
    "INSERT INTO guest VALUES ('line\nbreak, \"quoted\"', 'é')",
)  # fmt: skip


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_new_and_changed_values_are_kept_and_nothing_else(live: Secret, tmp_path: Path) -> None:
    run(live, *BEFORE)
    before = fingerprint.schema(live)
    run(live, *AFTER)
    kept = {item.file.name: item for item in aside.keep(live, before, tmp_path / "r7")}
    assert kept.keys() == {"public.sale.csv", "public.guest.csv"}, "no file where there is no value"
    assert read(kept["public.sale.csv"].file) == [
        {"id": "1", "total": "5", "tip": "", "never": ""},
        {"id": "2", "total": "7", "tip": "3", "never": ""},
    ]
    assert read(kept["public.guest.csv"].file) == [{"name": 'line\nbreak, "quoted"', "Odd; name": "é"}]
    assert [item.rows for item in kept.values()] == [1, 2]
    assert {oct(item.file.stat().st_mode)[-3:] for item in kept.values()} == {"600"}
    assert sorted(file.name for file in (tmp_path / "r7").iterdir()) == sorted(kept)


def test_a_column_that_became_part_of_the_key_is_kept_with_all_that_names_its_row(live: Secret, tmp_path: Path) -> None:
    run(live, "CREATE TABLE stock (sku text PRIMARY KEY, n int)", "INSERT INTO stock VALUES ('a', 1)")
    before = fingerprint.schema(live)
    run(
        live,
        "ALTER TABLE stock ADD shelf text NOT NULL DEFAULT 'old'",
        "ALTER TABLE stock DROP CONSTRAINT stock_pkey, ADD PRIMARY KEY (sku, shelf)",
        "UPDATE stock SET shelf = 'B17'",
    )
    (kept,) = aside.keep(live, before, tmp_path / "r7")
    assert read(kept.file) == [{"sku": "a", "n": "1", "shelf": "B17"}]


def test_no_two_tables_share_a_file(live: Secret, tmp_path: Path) -> None:
    before = fingerprint.schema(live)
    names = ("a/b", "a_b", "a%2Fb", "a.b", "..")
    run(live, *(f"CREATE TABLE \"{name}\" AS SELECT '{name}' AS word" for name in names))
    kept = aside.keep(live, before, tmp_path / "r7")
    assert sorted(read(item.file)[0]["word"] for item in kept) == sorted(names)
    assert {item.file.parent for item in kept} == {tmp_path / "r7"}


def test_a_table_without_a_key_is_kept_whole(live: Secret, tmp_path: Path) -> None:
    run(live, *BEFORE)
    before = fingerprint.schema(live)
    run(live, "ALTER TABLE plain ADD mark text", "UPDATE plain SET mark = 'm'")
    (kept,) = aside.keep(live, before, tmp_path / "r7")
    assert read(kept.file) == [{"word": "x", "mark": "m"}]


def test_what_was_kept_before_stays(live: Secret, tmp_path: Path) -> None:
    run(live, *BEFORE)
    before = fingerprint.schema(live)
    run(live, "CREATE TABLE guest (name text)", "INSERT INTO guest VALUES ('a')")
    for _ in range(3):
        aside.keep(live, before, tmp_path / "r7")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["r7", "r7-2", "r7-3"]
    assert {len(list(place.iterdir())) for place in tmp_path.iterdir()} == {1}


def test_the_same_schema_has_nothing_to_keep(live: Secret, tmp_path: Path) -> None:
    run(live, *BEFORE)
    assert aside.keep(live, fingerprint.schema(live), tmp_path / "r7") == []


def test_what_cannot_be_read_is_an_error_and_leaves_no_file(live: Secret, tmp_path: Path) -> None:
    run(live, *BEFORE)
    before = fingerprint.schema(live)
    run(live, "CREATE TABLE guest (name text)", "INSERT INTO guest VALUES ('a')")
    run(live, "REVOKE ALL ON guest FROM app")
    with pytest.raises(DatabaseError):
        aside.keep(live, before, tmp_path / "r7")
    assert list((tmp_path / "r7").iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_an_error(live: Secret, tmp_path: Path) -> None:
    run(live, *BEFORE)
    before = fingerprint.schema(live)
    run(live, "CREATE TABLE guest (name text)", "INSERT INTO guest VALUES ('a')")
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError):
        aside.keep(live, before, tmp_path / "file" / "r7")
