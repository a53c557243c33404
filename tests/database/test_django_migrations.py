"""Django projects of several applications, with models, whose state is more than one name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.config import DjangoTool
from gate.database import fingerprint
from gate.database.connection import connect
from gate.database.django import DjangoMigrations
from gate.database.migrations import MigrationFailed
from gate.database.patience import Patience
from gate.errors import DatabaseError
from gate.redact import Secret
from tests.database.kits import ITEMS, KITS, NOTE, Change, need_django
from tests.database.project import PASSWORD, run

MODELS = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_items"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [
        migrations.CreateModel("Tea", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=9))]),
        migrations.AddConstraint("Tea", models.UniqueConstraint(fields=["name"], name="once")),
    ]
"""  # noqa: E501

OPERATION = """
from django.db import migrations


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("shop", "0001_items")]
    operations = [{operation}]
"""


@pytest.fixture(autouse=True)
def _django() -> None:
    need_django()


def tool(folder: Path, *changes: Change, extra: dict[str, str] | None = None, settings: str = "") -> DjangoMigrations:
    """The tool of a project with these changes; ``extra`` are further files of its migrations."""
    release = KITS["django"].release(folder, *changes)
    for name, text in (extra or {}).items():
        (folder / "shop" / "migrations" / name).write_text(text)
    with (folder / "site_settings.py").open("a") as file:
        file.write(settings)
    return DjangoMigrations(release, DjangoTool(tool="django", settings="site_settings"), Patience(0.3, 30.0, 1))


def operation(text: str, *, atomic: bool = True) -> dict[str, str]:
    return {"0002_more.py": OPERATION.format(operation=text, atomic=atomic)}


def test_models_and_what_signals_make_of_them(tmp_path: Path, live: Secret) -> None:
    apps = '\nINSTALLED_APPS += ["django.contrib.contenttypes", "django.contrib.auth"]\n'
    tool(tmp_path / "old", ITEMS, settings=apps).upgrade(live)
    found = tool(tmp_path / "new", ITEMS, extra={"0002_tea.py": MODELS}, settings=apps)
    start = found.current(live)
    assert start is not None
    assert [name.partition(".")[0] for name in start.split()] == ["auth", "contenttypes", "shop"]
    assert found.knows(start)
    assert found.head() == start.replace("shop.0001_items", "shop.0002_tea")
    assert "django.contrib.auth.migrations.0001_initial" in {item.file for item in found.revisions()}
    assert 'CREATE TABLE "shop_tea"' in found.sql(live, start)
    assert "auth_user" not in found.sql(live, start)
    assert 'CREATE TABLE "auth_user"' in found.sql(live, None)
    before, rows = fingerprint.schema(live), fingerprint.data(live)
    assert [item.id for item in found.upgrade(live)] == ["shop.0002_tea"]
    assert found.current(live) == found.head()
    assert run(live, "SELECT count(*) FROM auth_permission WHERE codename ~ '_tea$'") == [(4,)]
    assert [item.id for item in found.downgrade(live, start)] == ["shop.0002_tea"]
    assert (fingerprint.schema(live), fingerprint.data(live)) == (before, rows), "permissions and content types go too"


@pytest.mark.parametrize(
    ("text", "reversible"),
    [
        ('migrations.RunSQL("SELECT 1")', False),
        ('migrations.RunSQL("SELECT 1", "SELECT 1")', True),
        ("migrations.RunPython(print)", False),
        ("migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)", True),
        ('migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL("SELECT 1")])', False),
        ("", True),
    ],
)
def test_which_ways_back_are_real(tmp_path: Path, text: str, reversible: bool) -> None:
    found = tool(tmp_path, ITEMS, extra=operation(text)).revisions()
    assert [item.has_downgrade for item in found] == [True, reversible]


def test_a_way_back_that_there_is_not(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, ITEMS, extra=operation('migrations.RunSQL("SELECT 1")'))
    found.upgrade(live)
    with pytest.raises(MigrationFailed, match="IrreversibleError") as caught:
        found.downgrade(live, None)
    assert caught.value.at == "shop.0002_more"


def test_two_last_migrations_of_one_application(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, ITEMS, NOTE, extra=operation(""))
    for ask in (found.head, found.revisions):
        with pytest.raises(DatabaseError, match=r"more than one last migration: shop\.0002_more, shop\.0002_note"):
            ask()


def test_an_application_that_was_taken_out_is_no_later_release(tmp_path: Path, live: Secret) -> None:
    found = tool(tmp_path, ITEMS, NOTE)
    found.upgrade(live)
    run(
        live,
        "INSERT INTO django_migrations (app, name, applied) VALUES ('gone', '0001_initial', now())",
        "INSERT INTO django_migrations (id, app, name, applied) VALUES (0, 'shop', '0001_squashed_away', now())",
    )
    assert (found.current(live), found.pending(live)) == ("shop.0002_note", [])


def test_settings_that_go_elsewhere_touch_nothing(tmp_path: Path, live: Secret, shop: Secret) -> None:
    before = fingerprint.schema(shop)
    stray = tool(tmp_path, ITEMS, settings='\nDATABASES["default"]["NAME"] = "shop"\n')
    for act in (stray.current, stray.upgrade):
        with pytest.raises(DatabaseError, match="WrongDatabase: the default database of site_settings") as caught:
            act(live)
        assert PASSWORD not in str(caught.value)
    assert fingerprint.schema(shop) == before


def test_what_ran_outside_of_a_transaction_is_not_tried_again(tmp_path: Path, live: Secret) -> None:
    tool(tmp_path / "old", ITEMS).upgrade(live)
    index = 'migrations.RunSQL("CREATE INDEX CONCURRENTLY by_name ON items (name)", "DROP INDEX by_name")'
    found = tool(tmp_path / "new", ITEMS, extra=operation(index, atomic=False))
    with connect(live) as holder, holder.transaction():
        holder.execute("LOCK TABLE public.items")
        with pytest.raises(MigrationFailed, match="LockNotAvailable") as caught:
            found.upgrade(live)
    assert (caught.value.sqlstate, caught.value.whole) == ("55P03", False)


def test_faults_of_a_project_name_the_file(tmp_path: Path, live: Secret) -> None:
    broken = tool(tmp_path / "a", ITEMS, extra={"0002_broken.py": "this is no Python"})
    with pytest.raises(DatabaseError, match=r"django facts failed: SyntaxError.*shop/migrations/0002_broken\.py:1"):
        broken.revisions()
    lost = tool(tmp_path / "b", ITEMS, settings='\nos.environ["KEY"]\n')
    with pytest.raises(DatabaseError, match=r"KeyError: 'KEY' \(site_settings\.py:\d+\)"):
        lost.head()
