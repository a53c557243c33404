"""The rehearsal of a deployment: what serves, and the release itself, on a migrated copy of the live database."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from gate.results import CaseOutcome
from tests.checks.projects import FIRST, SECOND, Project, migration

PASSED, WARNING, FAILED = CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED
RENAMES = migration(2, "ALTER TABLE sale RENAME note TO remark", "ALTER TABLE sale RENAME remark TO note")
CASES = ("migrations_run_up_and_down_on_a_copy", "what_serves_lives_on_the_new_schema")
RELEASE = "the_release_works_on_the_migrated_copy"


def outcomes(project: Project, new: Any, stable: Any) -> dict[str, tuple[CaseOutcome, str]]:
    """What the three cases of the rehearsal said."""
    cases = project.checks(new, stable, folders=("checks/test_migrations.py",))
    return {name: (cases[f"test_{name}"].outcome, cases[f"test_{name}"].message) for name in (*CASES, RELEASE)}


def test_both_live_on_a_schema_that_only_grew(project: Project) -> None:
    found = outcomes(project, project.release("1.1.0", FIRST, SECOND, reads="tip"), project.release("1.0.0", FIRST))
    assert {outcome for outcome, _ in found.values()} == {PASSED}, found


def test_what_serves_cannot_live_without_its_column(project: Project) -> None:
    """The migration runs up and down without a fault, and the release works: only what serves tells."""
    found = outcomes(project, project.release("1.1.0", FIRST, RENAMES, reads="remark"), project.release("1.0.0", FIRST))
    assert [found[name][0] for name in (*CASES, RELEASE)] == [PASSED, FAILED, PASSED], found
    assert "1.0.0 on the new schema: critical: Sales are listed: " in found[CASES[1]][1]
    assert "does not exist" in found[CASES[1]][1]


def test_a_release_that_does_not_work_on_the_copy(project: Project) -> None:
    found = outcomes(project, project.release("1.1.0", FIRST, SECOND, reads="nowhere"), project.release("1.0.0", FIRST))
    assert [found[name][0] for name in (*CASES, RELEASE)] == [PASSED, PASSED, FAILED], found
    assert "1.1.0 on the new schema: critical: Sales are listed: " in found[RELEASE][1]


def test_a_release_that_does_not_start_on_the_copy(project: Project) -> None:
    project.table["services"]["web"] |= {"start_timeout": "2s"}
    found = outcomes(
        project, project.release("1.1.0", FIRST, SECOND, reads='note" + 1 / 0'), project.release("1.0.0", FIRST)
    )
    assert found[RELEASE][0] is FAILED, found


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "no service is given the database's URL"),
        ({"PGPORT": "127.0.0.1:{port}"}, "tells parts of a live server"),
    ],
)
def test_an_application_that_might_reach_the_live_database_is_not_started(
    project: Project, variables: dict[str, str], told: str
) -> None:
    port = project.table["stack"]["postgres"]["port"]
    env = {name: text.replace("{port}", str(port)) for name, text in variables.items()}
    kept = {"DATABASE_URL": project.table["services"]["web"]["env"]["DATABASE_URL"]} if variables else {}
    project.table["services"]["web"]["env"] = {"TOKEN": "kT92-hfLq0-zzPw31", "VERSION": "{version}", **kept, **env}
    found = outcomes(project, project.release("1.1.0", FIRST, SECOND), project.release("1.0.0", FIRST))
    assert [found[name][0] for name in (*CASES, RELEASE)] == [PASSED, WARNING, WARNING], found
    assert told in found[RELEASE][1]


def test_nothing_live_is_touched(project: Project, table: dict[str, Any]) -> None:
    """A rehearsal tells of a table that is written anew, leaves the live database as it is, and nothing behind."""
    with psycopg.connect(table["database"]["url"], connect_timeout=5) as connection:
        query = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'sale'"
        before = connection.execute(query).fetchall()
        anew = migration(2, "ALTER TABLE sale ADD tip float DEFAULT random()", "ALTER TABLE sale DROP COLUMN tip")
        found = outcomes(project, project.release("1.1.0", FIRST, anew), project.release("1.0.0", FIRST))
        assert found[CASES[0]][0] is WARNING
        assert "public.sale is written anew, 1 rows" in found[CASES[0]][1]
        connection.rollback()
        assert connection.execute(query).fetchall() == before
        columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'sale' ORDER BY 1"
        assert [row[0] for row in connection.execute(columns)] == ["id", "note", "total"]
    scratch = project.environment().state_folder / "scratch"
    assert list(scratch.glob("scratch-*")) == []
