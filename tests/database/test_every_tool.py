"""What every migration tool must do, run for real on a database whose role has no special rights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gate.database import fingerprint, migrations
from gate.database.connection import connect
from gate.database.copy import dry_run
from gate.database.migrations import MigrationFailed, Migrations, Progress, UnknownRevision
from gate.errors import DatabaseError
from gate.redact import Secret
from tests.database import project
from tests.database.kits import ITEMS, KITS, NOTE, Change, Kit, need_django
from tests.database.project import PASSWORD, run

WRONG = Change("0003_wrong", "ALTER TABLE items ADD COLUMN b int; SELECT 1 / 0", "ALTER TABLE items DROP COLUMN b")
ONE_WAY = Change("0002_one_way", "ALTER TABLE items ADD COLUMN c int", None)
SEEN = Change(
    "0001_seen",
    "CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock, "
    "current_setting('statement_timeout') AS statement, current_setting('client_connection_check_interval') AS check",
    "DROP TABLE seen",
)

Make = Callable[..., Migrations]


# Alembic has its own tests of most of this.
@pytest.fixture(params=[name for name in KITS if name != "alembic"])
def kit(request: pytest.FixtureRequest) -> Kit:
    """Each tool but Alembic, unless a test says which."""
    if request.param == "django":
        need_django()
    return KITS[request.param]


@pytest.fixture
def make(kit: Kit, tmp_path: Path, home: Path, live: Secret) -> Make:
    """The tool for a release that carries these changes."""

    def made(*changes: Change, url: Secret = live, progress: Progress = lambda _: None) -> Migrations:
        release = kit.release(tmp_path / f"{len(list(tmp_path.iterdir()))}", *changes)
        environment = project.environment(home, url, migrations=kit.table, lock_timeout="300ms", lock_retries=2)
        tool = migrations.create(environment, release, progress)
        assert tool is not None
        return tool

    return made


def test_up_and_down_and_as_it_was(make: Make, kit: Kit, live: Secret) -> None:
    first, second = kit.id(ITEMS), kit.id(NOTE)
    empty = fingerprint.schema(live)
    tool = make(ITEMS, NOTE)
    assert [(item.id, item.has_downgrade) for item in tool.revisions()] == [(first, True), (second, True)]
    assert all((tool.revisions()[0].title, tool.revisions()[0].file))
    assert (tool.head(), tool.knows(first), tool.knows("0009_other")) == (second, True, False)
    assert (tool.current(live), [item.id for item in tool.pending(live)]) == (None, [first, second])
    assert fingerprint.schema(live) == empty, "asking changes nothing"
    ran = tool.upgrade(live)
    assert [item.id for item in ran] == [first, second]
    assert all(0 < item.seconds < 10 for item in ran)
    assert (tool.current(live), tool.pending(live), tool.upgrade(live)) == (second, [], [])
    assert [item.id for item in tool.downgrade(live, first)] == [second]
    assert (tool.current(live), [item.id for item in tool.pending(live)]) == (first, [second])
    assert tool.downgrade(live, first) == []
    with pytest.raises(DatabaseError, match=f"is at {first}; {second} is not below it"):
        tool.downgrade(live, second)
    assert [item.id for item in tool.downgrade(live, None)] == [first]
    assert fingerprint.schema(live) == empty
    assert tool.downgrade(live, None) == []


def test_the_state_after_each_pending_one_is_known(make: Make, kit: Kit, live: Secret) -> None:
    """So that the linter can be asked about each of them alone."""
    tool = make(ITEMS, NOTE)
    state, sql = tool.current(live), [tool.sql(live, None)]
    for item in tool.pending(live):
        state = tool.after(state, item)
        assert tool.knows(state)
        if state != tool.head():
            sql.append(tool.sql(live, state))
    assert state == tool.head() == kit.id(NOTE)
    assert len(sql) == 2
    assert sql[0].count("items") > sql[1].count("items") > 0


def test_a_database_ahead_of_the_release(make: Make, kit: Kit, live: Secret) -> None:
    make(ITEMS, NOTE).upgrade(live)
    old = make(ITEMS)
    assert old.current(live) == kit.id(NOTE)
    for act in (lambda: old.pending(live), lambda: old.upgrade(live), lambda: old.downgrade(live, kit.id(ITEMS))):
        with pytest.raises(UnknownRevision, match=f"which ends at {kit.id(ITEMS)}: a later release") as caught:
            act()
        assert caught.value.revision == kit.id(NOTE)
        assert caught.value.next_step


def test_a_migration_that_cannot_be_taken_back(make: Make, kit: Kit, live: Secret) -> None:
    tool = make(ITEMS, ONE_WAY)
    assert [item.has_downgrade for item in tool.revisions()] == [True, False]


def test_a_migration_that_fails_half_way(make: Make, kit: Kit, live: Secret) -> None:
    make(ITEMS).upgrade(live)
    before = fingerprint.schema(live)
    tool = make(ITEMS, WRONG)
    with pytest.raises(MigrationFailed, match=f"the database is at {kit.id(ITEMS)}$") as caught:
        tool.upgrade(live)
    assert (caught.value.revision, caught.value.at) == (kit.id(WRONG), kit.id(ITEMS))
    assert "division by zero" in str(caught.value), "what the server said is shown"
    assert PASSWORD not in str(caught.value)
    assert fingerprint.schema(live) == before


@pytest.mark.parametrize("kit", KITS, indirect=True)
def test_a_lock_that_comes_at_the_second_try(make: Make, kit: Kit, live: Secret) -> None:
    make(ITEMS).upgrade(live)
    said: list[str] = []
    with connect(live) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE public.items")

        def progress(text: str) -> None:
            said.append(text)
            holder.execute("COMMIT")

        assert [item.id for item in make(ITEMS, NOTE, progress=progress).upgrade(live)] == [kit.id(NOTE)]
    assert said == [f"{kit.id(NOTE)} got no lock within 0.3 s; try 2 of 3 in 0.5 s"]


@pytest.mark.parametrize("kit", ["sql"], indirect=True)
def test_a_lock_that_never_comes(make: Make, kit: Kit, live: Secret) -> None:
    make(ITEMS).upgrade(live)
    said: list[str] = []
    with connect(live) as holder, holder.transaction():
        holder.execute("LOCK TABLE public.items")
        with pytest.raises(MigrationFailed, match=f"the database is at {kit.id(ITEMS)}") as caught:
            make(ITEMS, NOTE, progress=said.append).upgrade(live)
    assert caught.value.sqlstate == "55P03"
    assert len(said) == 2, "as often as [database] lock_retries says"


@pytest.mark.parametrize("kit", KITS, indirect=True)
@pytest.mark.parametrize("options", ["", "&options=-csearch_path%3Dpublic"])
def test_every_migration_has_time_outs(make: Make, live: Secret, options: str) -> None:
    url = Secret(live.reveal() + options)
    make(SEEN, url=url).upgrade(url)
    assert run(live, "SELECT * FROM seen") == [("300ms", "5min", "1s")]


def test_the_sql_for_a_linter(make: Make, kit: Kit, live: Secret) -> None:
    tool = make(ITEMS, NOTE)
    assert "CREATE TABLE items" in tool.sql(live, None)
    assert "CREATE TABLE items" not in tool.sql(live, kit.id(ITEMS))
    assert "ALTER TABLE items ADD COLUMN note text" in tool.sql(live, kit.id(ITEMS))


def test_a_dry_run_on_a_private_copy(make: Make, kit: Kit, tmp_path: Path, home: Path, live: Secret) -> None:
    make(ITEMS).upgrade(live)
    run(live, "INSERT INTO items (name, price) VALUES ('tea', 3)")
    before = fingerprint.schema(live), fingerprint.data(live)
    environment = project.environment(home, live, migrations=kit.table)
    found = dry_run(environment, kit.release(tmp_path / "dry", ITEMS, NOTE))
    assert ([item.id for item in found.up], [item.id for item in found.down]) == ([kit.id(NOTE)], [kit.id(NOTE)])
    assert (found.equal, found.start, found.head) == (True, kit.id(ITEMS), kit.id(NOTE))
    assert (fingerprint.schema(live), fingerprint.data(live)) == before, "the live database was changed"
