"""Private copies and dry runs: the live database is read and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.config import Environment
from gate.database import fingerprint
from gate.database.cluster import Cluster
from gate.database.connection import parameters
from gate.database.copy import DryRun, dry_run, private_copy
from gate.database.dump import check_space
from gate.database.facts import facts
from gate.database.migrations import MigrationFailed, UnknownRevision
from gate.errors import DatabaseError
from gate.redact import Secret
from tests.database import project
from tests.database.project import NOTE, at_first, first, revision, run, second


@pytest.fixture
def migrated(home: Path, live: Secret) -> Iterator[Environment]:
    """A live database at 0001 with three items, which nothing in the test may change."""
    at_first(live)
    run(live, "INSERT INTO items (name, price) VALUES ('tea', 3), ('rum', 20), ('ale', 4)")
    before = _everything(live)
    yield project.environment(home, live)
    assert _everything(live) == before, "the live database was changed"


def _everything(url: Secret) -> object:
    return fingerprint.schema(url), fingerprint.data(url), fingerprint.sequences(url)


def test_a_copy_is_equal_private_and_gone(environment: Environment, shop: Secret, server: Cluster) -> None:
    before = _everything(shop)
    with private_copy(environment) as url:
        assert _everything(url) == before
        assert facts(url).role == "app"
        assert parameters(url)["dbname"] == parameters(shop)["dbname"]
        assert parameters(url)["password"] != parameters(shop)["password"]
        assert run(url, "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'") == [(False,)]
        assert run(url, "SELECT has_table_privilege('reader', 'items', 'SELECT')") == [(True,)]
        run(url, "DELETE FROM items")
        place = Path(parameters(url)["host"])
        assert place.exists()
    assert not place.exists()
    assert _everything(shop) == before


def test_a_copy_is_reached_as_the_application_is_used_to(home: Path, shop: Secret) -> None:
    url = shop.reveal().replace("postgresql://", "postgresql+psycopg://") + "&options=-csearch_path%3Dother,public"
    with private_copy(project.environment(home, Secret(url))) as copied:
        assert copied.reveal().startswith("postgresql+psycopg://app:")
        assert facts(copied).role == "app"
        assert run(copied, "SHOW search_path") == [("other,public",)]


def test_a_copy_of_nothing(environment: Environment) -> None:
    none = environment.model_copy(update={"database": None})
    with pytest.raises(DatabaseError, match=r"there is no \[database\] to copy"), private_copy(none):
        pass


def test_good_migrations(migrated: Environment, tmp_path: Path) -> None:
    # A role that exists at the origin exists in the copy.
    grant = revision(
        "0003",
        "0002",
        'op.execute("GRANT SELECT ON items TO reader")',
        'op.execute("REVOKE SELECT ON items FROM reader")',
    )
    said: list[str] = []
    found = dry_run(migrated, project.release(tmp_path, first(), second(), grant), progress=said.append)
    assert [item.id for item in found.revisions] == ["0002", "0003"]
    assert (found.start, found.head, found.equal) == ("0001", "0003", True)
    assert [item.id for item in found.up] == [item.id for item in reversed(found.down)] == ["0002", "0003"]
    assert min(found.copy_seconds, found.up_seconds, found.down_seconds) > 0
    assert "2 migrations up again" in said


@pytest.mark.parametrize(
    ("statement", "lock", "rewritten"),
    [
        ("ALTER TABLE items ADD COLUMN more int", "AccessExclusiveLock", False),
        ("ALTER TABLE items ADD COLUMN more float DEFAULT random()", "AccessExclusiveLock", True),
        ("CREATE INDEX more ON items (id)", "ShareLock", False),
        ("CREATE TABLE more (a int)", None, False),
    ],
)
def test_locks_and_rewrites_are_told(
    migrated: Environment, tmp_path: Path, statement: str, lock: str | None, rewritten: bool
) -> None:
    undo = "DROP INDEX more" if "INDEX" in statement else "DROP TABLE more"
    undo = "ALTER TABLE items DROP COLUMN more" if "ALTER" in statement else undo
    change = revision("0002", "0001", f"op.execute({statement!r})", f"op.execute({undo!r})")
    found = dry_run(migrated, project.release(tmp_path, first(), change))
    assert found.equal, "nothing of the watching is left in the copy"
    assert dict(found.locks).get("public.items") == lock
    assert [name for name, _ in found.rewrites] == (["public.items"] if rewritten else [])


def test_nothing_pending(migrated: Environment, tmp_path: Path) -> None:
    assert dry_run(migrated, project.release(tmp_path, first())) == DryRun((), "0001", "0001")


def test_the_first_deployment(home: Path, live: Secret, tmp_path: Path) -> None:
    before = _everything(live)
    found = dry_run(project.environment(home, live), project.release(tmp_path, first(), second()))
    assert ([item.id for item in found.revisions], found.start, found.equal) == (["0001", "0002"], None, True)
    assert [item.id for item in found.down] == ["0002", "0001"]
    assert _everything(live) == before


def test_a_way_down_that_leads_elsewhere(migrated: Environment, tmp_path: Path) -> None:
    changes = [
        (NOTE["up"], "pass"),
        (
            'op.execute("ALTER TABLE items ALTER name DROP NOT NULL")',
            'op.execute("ALTER TABLE items ADD CONSTRAINT filled CHECK (name IS NOT NULL)")',
        ),
        ('op.execute("DELETE FROM items WHERE price > 10")', 'op.execute("SELECT 1")'),
        ("op.execute(\"SELECT nextval('items_id_seq')\")", 'op.execute("ALTER SEQUENCE items_id_seq RESTART")'),
    ]
    chain = [revision(f"{n:04}", f"{n - 1:04}", up, down) for n, (up, down) in enumerate(changes, 2)]
    found = dry_run(migrated, project.release(tmp_path, first(), *chain))
    assert not found.equal
    assert found.schema_differences == (
        "changed: column public.items.name: text not null → text",
        "new: column public.items.note (text)",
        "new: constraint public.items.filled (CHECK ((name IS NOT NULL)))",
    )
    assert found.data_differences == (
        "table public.items: 3 → 2 rows",
        "sequence public.items_id_seq: stands at 0, was at 3",
    )


def test_a_way_down_that_does_not_bring_the_data_back(migrated: Environment, tmp_path: Path) -> None:
    back = (
        'op.execute("ALTER TABLE items ADD price numeric DEFAULT 0 NOT NULL")\n'
        'op.execute("ALTER TABLE items ALTER price DROP DEFAULT")'
    )
    lossy = revision("0002", "0001", 'op.execute("ALTER TABLE items DROP price")', back)
    found = dry_run(migrated, project.release(tmp_path, first(), lossy))
    assert found.schema_differences == ()
    assert found.data_differences == ("table public.items: same number of rows (3), other content",)


@pytest.mark.parametrize(
    ("up", "down", "said"),
    [
        ('op.execute("SELECT 1")', "raise NotImplementedError", r"downgrade of 0003 .*NotImplementedError"),
        ('op.execute("CREATE EXTENSION pg_stat_statements")', "pass", r"upgrade of 0003 .*InsufficientPrivilege"),
        # What it leaves behind is in no schema and no table: only going up again shows it.
        ('op.execute("CREATE PUBLICATION p FOR TABLE items")', "pass", r"upgrade of 0003 .*DuplicateObject"),
    ],
    ids=["down", "rights", "up again"],
)
def test_a_migration_that_fails_is_named(migrated: Environment, tmp_path: Path, up: str, down: str, said: str) -> None:
    wrong = revision("0003", "0002", up, down)
    with pytest.raises(MigrationFailed, match=said) as caught:
        dry_run(migrated, project.release(tmp_path, first(), second(), wrong))
    assert caught.value.revision == "0003"


def test_an_env_that_names_the_live_database_touches_nothing(migrated: Environment, tmp_path: Path) -> None:
    assert migrated.database is not None
    stray = project.release(tmp_path, first(), second(), url=repr(migrated.database.url.reveal()))
    with pytest.raises(DatabaseError, match="WrongDatabase"):
        dry_run(migrated, stray)


def test_a_release_older_than_the_database(migrated: Environment, tmp_path: Path) -> None:
    with pytest.raises(UnknownRevision, match="is at 0001, unknown to release"):
        dry_run(migrated, project.release(tmp_path, revision("0000", None)))


def test_no_room_for_a_copy(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"a private copy of .* needs .* MB in .*, only .* MB are free"):
        check_space(tmp_path, 2**60, "a private copy of the database")
