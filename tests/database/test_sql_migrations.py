"""Plain SQL files: what their names must say, what stands in the table, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gate.config import SqlTool
from gate.database.connection import connect
from gate.database.migrations import MigrationFailed
from gate.database.patience import Patience
from gate.database.sql_migrations import SqlMigrations
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.releases import Release
from tests.database.project import PASSWORD, run

ITEMS = {
    "0001_items.up.sql": "CREATE TABLE items (id int, name text);\nINSERT INTO items VALUES (1, '100 %s');",
    "0001_items.down.sql": "DROP TABLE items;",
}


def tool(folder: Path, files: Mapping[str, str | bytes], table: str = "schema_migrations") -> SqlMigrations:
    place = folder / "migrations"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    made = Release(version="1.0.0", digest="sha256:0", commit=None, folder=folder)
    return SqlMigrations(made, SqlTool(tool="sql", table=table), Patience(0.3, 10.0, lock_retries=1))


def test_the_order_is_that_of_the_numbers(tmp_path: Path) -> None:
    names = ("10_c", "9_b", "0001-a", "20261124103000_a-long_one.2")
    found = tool(tmp_path, {f"{name}.up.sql": "SELECT 1" for name in names} | {"README.md": "not one"})
    assert [(item.id, item.title) for item in found.revisions()] == [
        ("0001-a", "a"),
        ("9_b", "b"),
        ("10_c", "c"),
        ("20261124103000_a-long_one.2", "a long one.2"),
    ]
    assert found.revisions()[1].file == "migrations/9_b.up.sql"
    assert tool(tmp_path / "none", {}).head() is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"0002_note.upp.sql": ""}, r"0002_note\.upp\.sql: not the name of a migration"),
        ({"note.up.sql": ""}, r"note\.up\.sql: not the name of a migration"),
        ({"0002_note.down.sql": ""}, r"0002_note\.down\.sql: there is no 0002_note\.up\.sql"),
        ({"1_other.up.sql": ""}, r"0001_items, 1_other have the same number"),
        ({"0002_note.up.sql": b"\xff"}, r"0002_note\.up\.sql: not UTF-8"),
    ],
)
def test_no_file_is_skipped_in_silence(tmp_path: Path, files: dict[str, str | bytes], said: str) -> None:
    with pytest.raises(DatabaseError, match=said):
        tool(tmp_path, {**ITEMS, **files}).revisions()


def test_a_release_without_the_folder(tmp_path: Path) -> None:
    made = Release(version="1.0.0", digest="sha256:0", commit=None, folder=tmp_path)
    with pytest.raises(DatabaseError, match="nowhere: no such folder") as caught:
        SqlMigrations(made, SqlTool(tool="sql", folder="nowhere"), Patience(1, 1)).head()
    assert "[database.migrations] folder" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("text", "real"),
    [(None, False), ("", False), ("-- cannot\n/* be\ndone */ ;\n", False), ("-- back\nSELECT 1", True)],
)
def test_which_ways_back_are_real(tmp_path: Path, text: str | None, real: bool) -> None:
    down = {} if text is None else {"0001_a.down.sql": text}
    assert tool(tmp_path, {"0001_a.up.sql": "SELECT 1", **down}).revisions()[0].has_downgrade is real


def test_a_way_back_that_is_missing_is_found_before_anything_runs(tmp_path: Path, live: Secret) -> None:
    one_way = tool(tmp_path, {**ITEMS, "0002_a.up.sql": "SELECT 1", "0003_b.up.sql": "", "0003_b.down.sql": ""})
    one_way.upgrade(live)
    with pytest.raises(MigrationFailed, match=r"downgrade of 0002_a .*: there is no 0002_a\.down\.sql") as caught:
        one_way.downgrade(live, None)
    assert (caught.value.revision, caught.value.at) == ("0002_a", "0003_b")


def test_what_stands_in_the_table(tmp_path: Path, live: Secret) -> None:
    run(live, "CREATE SCHEMA kept")
    tool(tmp_path, ITEMS, table="kept.revisions").upgrade(live)
    rows = run(live, "SELECT revision, length(checksum), applied_at <= now() FROM kept.revisions")
    assert rows == [("0001_items", 64, True)]
    assert run(live, "SELECT name FROM items") == [("100 %s",)], "a percent sign is only that"
    tool(tmp_path, {}, table="kept.revisions").downgrade(live, None)
    assert run(live, "SELECT to_regclass('kept.revisions')") == [(None,)]


def test_the_table_of_another_tool_is_left_alone(tmp_path: Path, live: Secret) -> None:
    run(live, "CREATE TABLE schema_migrations (version bigint)", "INSERT INTO schema_migrations VALUES (7)")
    with pytest.raises(DatabaseError, match="the table schema_migrations is another tool's") as caught:
        tool(tmp_path, ITEMS).upgrade(live)
    assert "[database.migrations] table" in str(caught.value.next_step)
    assert run(live, "SELECT version FROM schema_migrations") == [(7,)]


def test_an_applied_file_that_was_changed_is_refused(tmp_path: Path, live: Secret) -> None:
    tool(tmp_path, ITEMS).upgrade(live)
    changed = tool(tmp_path, {"0001_items.up.sql": "CREATE TABLE items (id bigint)"})
    for act in (changed.pending, changed.upgrade):
        with pytest.raises(DatabaseError, match=r"migrations/0001_items\.up\.sql was changed after it was applied"):
            act(live)
    # The way back is not the file's that was applied: it stays open.
    assert [item.id for item in changed.downgrade(live, None)] == ["0001_items"]


def test_a_file_that_came_late_is_refused(tmp_path: Path, live: Secret) -> None:
    tool(tmp_path, {**ITEMS, "0003_c.up.sql": "SELECT 1"}).upgrade(live)
    late = tool(tmp_path, {"0002_b.up.sql": "SELECT 1"})
    with pytest.raises(DatabaseError, match=r"0002_b\.up\.sql was never applied, but 0003_c after it was"):
        late.pending(live)


def test_a_fault_names_the_file_and_the_line(tmp_path: Path, live: Secret) -> None:
    wrong = tool(tmp_path, {**ITEMS, "0002_b.up.sql": f"SELECT 1;\n-- {PASSWORD}\nSELECT nothing;\n"})
    with pytest.raises(MigrationFailed) as caught:
        wrong.upgrade(live)
    said = str(caught.value)
    assert said.startswith("upgrade of 0002_b (migrations/0002_b.up.sql) failed: UndefinedColumn: ")
    assert "(migrations/0002_b.up.sql:3)" in said
    assert said.endswith("the database is at 0001_items")
    assert caught.value.sqlstate == "42703"


def test_a_constraint_that_fails_at_the_end_of_the_transaction(tmp_path: Path, live: Secret) -> None:
    late = "CREATE TABLE a (x int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO a VALUES (1), (1);"
    with pytest.raises(MigrationFailed, match="UniqueViolation") as caught:
        tool(tmp_path, {"0001_a.up.sql": late}).upgrade(live)
    assert caught.value.at is None
    assert run(live, "SELECT to_regclass('a'), to_regclass('schema_migrations')") == [(None, None)]


def test_a_file_that_ends_its_transaction_is_told(tmp_path: Path, live: Secret) -> None:
    own = tool(tmp_path, {"0001_a.up.sql": "BEGIN; CREATE TABLE a (); COMMIT;", "0001_a.down.sql": "DROP TABLE a"})
    with pytest.raises(MigrationFailed, match=r"ends its transaction by itself: take BEGIN and COMMIT out") as caught:
        own.upgrade(live)
    assert caught.value.at == "0001_a", "what it did is noted, so that it can be taken back"
    own.downgrade(live, None)


def test_what_a_file_sets_does_not_reach_the_next(tmp_path: Path, live: Secret) -> None:
    dump = "SET search_path = ''; SET lock_timeout = 0; CREATE TABLE public.a ();"
    reads = "CREATE TABLE b AS SELECT current_setting('lock_timeout') AS said"
    tool(tmp_path, {"0001_a.up.sql": dump, "0002_b.up.sql": reads}).upgrade(live)
    assert run(live, "SELECT said FROM b") == [("300ms",)]


CONCURRENT = "-- gate: no transaction\nCREATE INDEX CONCURRENTLY by_name ON items (name)"


def test_an_index_built_beside_the_traffic(tmp_path: Path, live: Secret) -> None:
    back = "-- gate: no transaction\nDROP INDEX CONCURRENTLY by_name;\n"
    found = tool(tmp_path, {**ITEMS, "0002_index.up.sql": CONCURRENT, "0002_index.down.sql": back})
    assert [item.id for item in found.upgrade(live)] == ["0001_items", "0002_index"]
    assert [item.id for item in found.downgrade(live, "0001_items")] == ["0002_index"]
    sql = found.sql(live, None)
    assert sql.index("BEGIN;") < sql.index("COMMIT;") < sql.index("CREATE INDEX CONCURRENTLY"), "as it runs"
    assert sql.count("BEGIN;") == 1


@pytest.mark.parametrize("text", [CONCURRENT.split("\n")[1], CONCURRENT + "; SELECT 1"], ids=["unmarked", "two"])
def test_what_no_transaction_may_hold_says_how_to_write_it(tmp_path: Path, live: Secret, text: str) -> None:
    with pytest.raises(MigrationFailed, match=r"ActiveSqlTransaction.*'-- gate: no transaction' and hold this one"):
        tool(tmp_path, {**ITEMS, "0002_index.up.sql": text}).upgrade(live)


def test_what_ran_outside_of_a_transaction_is_not_tried_again(tmp_path: Path, live: Secret) -> None:
    """An index that could not be finished is left behind, invalid; trying again would only find that one."""
    found = tool(tmp_path, {**ITEMS, "0002_index.up.sql": CONCURRENT})
    tool(tmp_path / "first", ITEMS).upgrade(live)
    with connect(live) as holder, holder.transaction():
        holder.execute("LOCK TABLE public.items")
        with pytest.raises(MigrationFailed, match="LockNotAvailable") as caught:
            found.upgrade(live)
    assert (caught.value.sqlstate, caught.value.at) == ("55P03", "0001_items")


def test_a_role_sees_what_its_policies_let_it_see(tmp_path: Path, live: Secret) -> None:
    policed = (
        "ALTER TABLE items ENABLE ROW LEVEL SECURITY; ALTER TABLE items FORCE ROW LEVEL SECURITY; "
        "CREATE POLICY p ON items USING (id > 1); CREATE TABLE seen AS SELECT count(*) FROM items"
    )
    tool(tmp_path, {**ITEMS, "0002_police.up.sql": policed}).upgrade(live)
    assert run(live, "SELECT * FROM seen") == [(0,)]
