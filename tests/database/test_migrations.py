"""A release's migrations, run for real on a database whose role has no special rights."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gate.config import AlembicTool, Environment
from gate.database import fingerprint, migrations
from gate.database.alembic import AlembicMigrations
from gate.database.cluster import Cluster
from gate.database.connection import connect
from gate.database.migrations import MigrationFailed, UnknownRevision
from gate.database.patience import Patience
from gate.errors import DatabaseError
from gate.machine.shell import wait_until
from gate.redact import Secret
from tests.database import project
from tests.database.project import ITEMS, NOTE, PASSWORD, at_first, first, revision, run, second

AUTOCOMMIT = """
with op.get_context().autocommit_block():
    op.execute("ALTER TABLE items ADD COLUMN half int")
op.execute("ALTER TABLE nowhere ADD COLUMN x int")
""".strip()


def tool(
    folder: Path, *revisions: tuple[str, str], statement_timeout: float = 30.0, **release: str
) -> AlembicMigrations:
    made = project.release(folder, *revisions, **release)
    return AlembicMigrations(made, AlembicTool(tool="alembic"), Patience(0.5, statement_timeout, lock_retries=2))


def test_no_tool_where_none_is_declared(environment: Environment, tmp_path: Path) -> None:
    release = project.release(tmp_path, first())
    assert isinstance(migrations.create(environment, release), AlembicMigrations)
    assert environment.database is not None
    none = environment.model_copy(update={"database": environment.database.model_copy(update={"migrations": None})})
    assert migrations.create(none, release) is None
    assert migrations.create(environment.model_copy(update={"database": None}), release) is None


def test_what_a_release_carries(tmp_path: Path) -> None:
    found = tool(tmp_path, second(), first())
    assert [(item.id, item.title, item.has_downgrade) for item in found.revisions()] == [
        ("0001", "The items we sell", True),
        ("0002", "A note to an item", True),
    ]
    assert found.revisions()[0].file == "migrations/versions/0001_change.py"
    assert found.head() == "0002"
    assert found.knows("0001")
    assert not found.knows("0003")
    assert not list(tmp_path.rglob("__pycache__")), "a release's folder must stay as it was built"


def test_a_release_without_migrations(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path)
    assert (found.revisions(), found.head(), found.pending(live), found.upgrade(live)) == ([], None, [], [])


def test_which_downgrades_are_real(tmp_path: Path) -> None:
    bodies = {
        "pass": False,
        "...": False,
        "raise NotImplementedError": False,
        'raise NotImplementedError("never")': False,
        '"""Nothing to do."""': False,
        "return": False,
        "return None": False,
        '"""Not possible."""\nraise RuntimeError()': False,
        'op.execute("SELECT 1")': True,
        "if True:\n    op.drop_table('x')": True,
    }
    ids = [None, *(f"{number:04}" for number in range(1, len(bodies) + 1))]
    made = [
        revision(str(name), parent, 'op.execute("SELECT 1")', body)
        for name, parent, body in zip(ids[1:], ids, bodies, strict=False)
    ]
    nameless = revision("0099", ids[-1], 'op.execute("SELECT 1")')
    merge = revision("0100", "0099")
    found = tool(tmp_path, *made, (nameless[0], nameless[1].replace("downgrade", "other")), merge).revisions()
    assert [item.has_downgrade for item in found] == [*bodies.values(), False, True]


def test_two_heads_are_an_error(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, first(), second(), revision("0003", "0001"))
    for ask in (found.head, found.revisions, lambda: found.pending(live), lambda: found.upgrade(live)):
        with pytest.raises(DatabaseError, match=r"release 1.0.0: alembic.ini has 2 heads: 0002, 0003"):
            ask()


def test_up_and_down_and_as_it_was(tmp_path: Path, live: Secret) -> None:
    empty = fingerprint.schema(live)
    found = tool(tmp_path, first(), second())
    assert found.current(live) is None
    assert fingerprint.schema(live) == empty, "asking changes nothing"
    assert [item.id for item in found.pending(live)] == ["0001", "0002"]
    ran = found.upgrade(live)
    assert [item.id for item in ran] == ["0001", "0002"]
    assert all(0 < item.seconds < 10 for item in ran)
    assert (found.current(live), found.pending(live), found.upgrade(live)) == ("0002", [], [])
    assert [item.id for item in found.downgrade(live, "0001")] == ["0002"]
    assert [item.id for item in found.pending(live)] == ["0002"]
    assert found.downgrade(live, "0001") == []
    assert [item.id for item in found.downgrade(live, None)] == ["0001"]
    assert fingerprint.schema(live) == empty
    assert found.downgrade(live, None) == []


def test_down_to_what_is_not_below(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, first(), second())
    with pytest.raises(DatabaseError, match="is at no revision; 0001 is not below it"):
        found.downgrade(live, "0001")


def test_a_database_ahead_of_the_release(tmp_path: Path, live: Secret) -> None:
    at_first(live)
    run(live, "UPDATE alembic_version SET version_num = '0002'")
    old = tool(tmp_path, first())
    assert old.current(live) == "0002"
    for act in (lambda: old.pending(live), lambda: old.upgrade(live), lambda: old.downgrade(live, "0001")):
        with pytest.raises(
            UnknownRevision, match=r"is at 0002, unknown to release 1\.0\.0, which ends at 0001"
        ) as caught:
            act()
        assert caught.value.revision == "0002"
        assert caught.value.next_step


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, live: Secret) -> None:
    wrong = revision("0003", "0002", 'op.execute("ALTER TABLE items ADD COLUMN b int")\nop.execute("SELECT 1 / 0")')
    found = tool(tmp_path, first(), second(), wrong)
    with pytest.raises(MigrationFailed) as caught:
        found.upgrade(live)
    assert (caught.value.revision, caught.value.at, caught.value.sqlstate) == ("0003", None, "22012")
    said = str(caught.value)
    assert said.startswith("upgrade of 0003 (migrations/versions/0003_change.py) failed: DivisionByZero")
    assert "0003_change.py:11" in said
    assert said.endswith("the database is at no revision")
    assert found.current(live) is None


def test_a_migration_that_fails_half_way(tmp_path: Path, live: Secret) -> None:
    at_first(live)
    before = fingerprint.schema(live)
    found = tool(tmp_path, first(), revision("0002", "0001", AUTOCOMMIT, NOTE["down"]))
    with pytest.raises(MigrationFailed, match="the database is at 0001") as caught:
        found.upgrade(live)
    assert (caught.value.revision, caught.value.at) == ("0002", "0001")
    assert found.downgrade(live, "0001") == []
    left = fingerprint.difference(before, fingerprint.schema(live))
    assert left == ["new: column public.items.half (integer)"], "what was left must be seen"


def test_a_downgrade_that_fails_says_where_it_stopped(tmp_path: Path, live: Secret) -> None:
    at_first(live)
    run(live, "ALTER TABLE items ADD COLUMN note text", "UPDATE alembic_version SET version_num = '0002'")
    found = tool(tmp_path, first(), revision("0002", "0001", NOTE["up"], "raise NotImplementedError('cannot')"))
    with pytest.raises(MigrationFailed, match=r"downgrade of 0002.*NotImplementedError: cannot") as caught:
        found.downgrade(live, None)
    assert (caught.value.revision, caught.value.at) == ("0002", "0002")


def test_a_lock_held_for_a_moment_is_waited_for(tmp_path: Path, live: Secret) -> None:
    at_first(live)
    found = tool(tmp_path, first(), second())
    found.revisions()
    with connect(live) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE public.items")
        release = threading.Timer(1.5, lambda: holder.execute("COMMIT"))
        release.start()
        try:
            assert [item.id for item in found.upgrade(live)] == ["0002"]
        finally:
            release.join()


def test_a_lock_that_is_never_free(tmp_path: Path, live: Secret) -> None:
    at_first(live)
    with connect(live) as holder, holder.transaction():
        holder.execute("LOCK TABLE public.items")
        with pytest.raises(MigrationFailed, match=r"LockNotAvailable.*the database is at 0001") as caught:
            tool(tmp_path, first(), second()).upgrade(live)
    assert caught.value.sqlstate == "55P03"


def test_a_statement_that_takes_too_long(tmp_path: Path, live: Secret) -> None:
    slow = revision("0001", None, 'op.execute("SELECT pg_sleep(20)")')
    with pytest.raises(MigrationFailed, match="QueryCanceled") as caught:
        tool(tmp_path, slow, statement_timeout=1.0).upgrade(live)
    assert caught.value.revision == "0001"


def test_a_driver_that_does_not_read_pgoptions_gets_the_time_outs_all_the_same(tmp_path: Path, live: Secret) -> None:
    """Such as asyncpg and pg8000; without them an ALTER would wait for a lock with everybody behind it."""
    settings = "current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement"
    sees = revision("0001", None, f'op.execute("CREATE TABLE seen AS SELECT {settings}")')
    deaf = '(os.environ.pop("PGOPTIONS", None), os.environ["DATABASE_URL"])[1]'
    tool(tmp_path, sees, statement_timeout=7.0, url=deaf).upgrade(live)
    assert run(live, "SELECT lock, statement FROM seen") == [("500ms", "7s")]


def test_a_migration_that_never_ends(tmp_path: Path, live: Secret) -> None:
    forever = revision("0001", None, "import threading\nthreading.Event().wait()")
    with pytest.raises(MigrationFailed, match=r"upgrade of 0001.*did not end in time; the database is at no revision"):
        tool(tmp_path, forever, statement_timeout=0.4).upgrade(live)


def test_a_database_that_is_lost_meanwhile(tmp_path: Path, live: Secret, server: Cluster) -> None:
    change = """op.execute("ALTER ROLE app PASSWORD 'another-one'")"""
    lost = f'{change}\nop.get_bind().commit()\nraise RuntimeError("lost")'
    try:
        with pytest.raises(DatabaseError, match=r"upgrade of 0001 .*RuntimeError: lost.*unknown: .*cannot be reached"):
            tool(tmp_path, revision("0001", None, lost)).upgrade(live)
    finally:
        run(server.url(), f"ALTER ROLE app PASSWORD '{PASSWORD}'")


def test_a_killed_gate_takes_its_migration_along(tmp_path: Path, live: Secret) -> None:
    project.release(tmp_path / "release", revision("0001", None, 'op.execute("SELECT pg_sleep(60)")'))
    code = (
        "import sys; from pathlib import Path; from gate.releases import Release; from gate.redact import Secret;"
        "from gate.config import AlembicTool; from gate.database.patience import Patience;"
        "from gate.database.alembic import AlembicMigrations;"
        "release = Release('1.0.0', '', None, Path(sys.argv[1]));"
        "AlembicMigrations(release, AlembicTool(tool='alembic'), Patience(1, 90))"
        ".upgrade(Secret(sys.stdin.read()))"
    )
    root = Path(__file__).resolve().parents[2]
    gate = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "release")], stdin=subprocess.PIPE, text=True, cwd=root
    )
    assert gate.stdin is not None
    gate.stdin.write(live.reveal())
    gate.stdin.close()

    def sleeping() -> bool:
        return bool(run(live, "SELECT FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'"))

    try:
        assert wait_until(sleeping, timeout=30)
    finally:
        gate.kill()
        gate.wait(10)
    assert wait_until(lambda: not sleeping(), timeout=15), "the server still works for a gate that is gone"


def test_the_sql_for_a_linter(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, first(), second())
    assert "CREATE TABLE items" in found.sql(live, None)
    assert "CREATE TABLE items" not in found.sql(live, "0001")
    assert "ALTER TABLE items ADD COLUMN note text" in found.sql(live, "0001")


def test_an_env_that_goes_elsewhere_touches_nothing(tmp_path: Path, live: Secret, shop: Secret) -> None:
    stray = tool(tmp_path, first(), url=repr(shop.reveal()))
    before = fingerprint.schema(shop)
    for act in (lambda: stray.current(live), lambda: stray.upgrade(live)):
        with pytest.raises(DatabaseError, match=r"WrongDatabase: env\.py connects to another database") as caught:
            act()
        assert PASSWORD not in str(caught.value)
    assert fingerprint.schema(shop) == before


def test_faults_of_a_release_name_the_file(tmp_path: Path, live: Secret) -> None:
    broken = tool(tmp_path / "a", first(), ("0002_broken.py", "this is no Python"))
    with pytest.raises(DatabaseError, match=r"SyntaxError.*migrations/versions/0002_broken\.py:1"):
        broken.revisions()
    with pytest.raises(DatabaseError, match="SystemExit: no database today"):
        tool(tmp_path / "b", first(), url="(lambda: exec(\"raise SystemExit('no database today')\"))()").current(live)
    missing = tool(tmp_path / "c", first())
    (tmp_path / "c" / "alembic.ini").unlink()
    with pytest.raises(DatabaseError, match=r"release 1\.0\.0: alembic facts failed"):
        missing.head()
    orphan = tool(tmp_path / "d", revision("0002", "0001"))
    with pytest.raises(DatabaseError, match="0001"):
        orphan.head()


def test_the_password_is_in_no_error(tmp_path: Path, live: Secret) -> None:
    leaky = tool(tmp_path, first(), url="exec(\"raise RuntimeError(os.environ['DATABASE_URL'])\")")
    with pytest.raises(DatabaseError, match="RuntimeError") as caught:
        leaky.current(live)
    assert PASSWORD not in str(caught.value)


def test_a_release_sees_little_of_our_environment(
    tmp_path: Path, live: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRODUCTION_PASSWORD", "not-for-migrations")
    nosy = revision("0001", None, 'import os\nassert "PRODUCTION_PASSWORD" not in os.environ\n' + ITEMS["up"])
    assert [item.id for item in tool(tmp_path, nosy).upgrade(live)] == ["0001"]
