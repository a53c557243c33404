"""The way back from a migration: its class, by its marks and by the rehearsal, before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from gate.judging.way_back import WayBack
from gate.results import CaseOutcome
from tests.checks.projects import FIRST, SECOND, Project, migration

PASSED, WARNING, FAILED = CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED
UP, DOWN = "ALTER TABLE sale RENAME note TO remark", "ALTER TABLE sale RENAME remark TO note"
CASES = ("every_migration_has_a_downgrade", "migrations_run_up_and_down_on_a_copy")
LIVES, WAY, BREAKS = "what_serves_lives_on_the_new_schema", "there_is_a_way_back", "migrations_do_not_break_what_serves"


def marked(text: str, *marks: str) -> str:
    """A migration with marks in comments."""
    return "".join(f"# gate: {mark}\n" for mark in marks) + text


def judged(project: Project, *changes: str, reads: str = "note", **context: Any) -> tuple[dict[str, Any], WayBack]:
    """The checks of migrations on 1.1.0 with ``changes``, while 1.0.0 serves; and the way back that they tell."""
    new, stable = project.release("1.1.0", FIRST, *changes, reads=reads), project.release("1.0.0", FIRST)
    cases = project.checks(new, stable, folders=("checks/test_migrations.py",), **context)
    found = {name.removeprefix("test_"): case for name, case in cases.items()}
    return found, WayBack.told(cases.values())


def test_a_schema_that_only_grew_is_a_switch(project: Project) -> None:
    found, way = judged(project, SECOND)
    assert found[WAY].outcome is PASSED, found[WAY].message
    assert (way.lives, way.leads_back, way.pending) == (True, True, True)


def test_an_unmarked_contract_is_refused_and_told_how_to_be_deployed(project: Project) -> None:
    found, _ = judged(project, migration(2, UP, DOWN), reads="remark")
    assert [found[name].outcome for name in (LIVES, BREAKS)] == [FAILED, FAILED]
    assert "gate: contract" in found[LIVES].message


def test_a_marked_contract_needs_a_pause(project: Project) -> None:
    found, way = judged(project, marked(migration(2, UP, DOWN), "contract"), reads="remark")
    assert [found[name].outcome for name in (LIVES, BREAKS, WAY)] == [WARNING, WARNING, FAILED], found[BREAKS].message
    assert "1.0.0 cannot live on the new schema, so users would wait about" in found[WAY].message
    assert "[database] pause" in found[WAY].message
    assert (way.lives, way.leads_back) == (False, True)


@pytest.mark.parametrize(("pause", "outcome"), [("20s", WARNING), ("50ms", FAILED)])
def test_the_pause_must_be_long_enough(project: Project, pause: str, outcome: CaseOutcome) -> None:
    project.table["database"] |= {"pause": pause}
    project.table["traffic"] |= {"try_duration": "30s"}
    found, way = judged(project, marked(migration(2, UP, DOWN), "contract"), reads="remark")
    assert found[WAY].outcome is outcome, found[WAY].message
    assert way.pause > 0.2


def test_without_a_way_back_somebody_must_sign(project: Project) -> None:
    project.table["database"] |= {"pause": "20s"}
    project.table["traffic"] |= {"try_duration": "30s"}
    one_way = marked(migration(2, UP, ""), "contract", "irreversible")
    found, way = judged(project, one_way, reads="remark")
    assert [found[name].outcome for name in CASES] == [WARNING, PASSED]
    assert found[WAY].outcome is FAILED
    assert "0002 cannot be taken back: there would be no way back" in found[WAY].message
    assert way.forward_only
    found, way = judged(project, one_way, reads="remark", roll_forward="the old form is worthless")
    assert found[WAY].outcome is WARNING, found[WAY].message
    assert "roll forward only" in found[WAY].message


def test_what_drops_what_nobody_reads_any_more_may_stay(project: Project) -> None:
    """The contract after an expand: nothing brings the values back, and nobody misses them."""
    drops = marked(migration(2, "ALTER TABLE sale DROP COLUMN total", ""), "contract", "irreversible")
    found, way = judged(project, drops)
    assert [found[name].outcome for name in (*CASES, LIVES, BREAKS, WAY)] == [WARNING, PASSED, PASSED, WARNING, PASSED]
    assert (way.lives, way.leads_back) == (True, False)


def test_a_mark_on_one_migration_excuses_no_other(project: Project) -> None:
    harmless = marked(SECOND, "contract")
    breaks = migration(3, "ALTER TABLE sale DROP COLUMN total", "ALTER TABLE sale ADD COLUMN total bigint")
    found, _ = judged(project, harmless, breaks)
    assert found[BREAKS].outcome is FAILED
    assert "total" in found[BREAKS].message


def test_a_mark_counts_for_nothing_without_a_rehearsal(project: Project) -> None:
    project.table["database"] |= {"rehearsal": False, "pause": "5s"}
    found, _ = judged(project, marked(migration(2, UP, DOWN), "contract"), reads="remark")
    assert found[BREAKS].outcome is FAILED
    assert "only a rehearsal can tell" in found[BREAKS].message


def test_a_misspelt_mark_is_an_error(project: Project) -> None:
    found, _ = judged(project, marked(SECOND, "contarct"))
    assert found[WAY].outcome is CaseOutcome.ERROR
    assert "'gate: contarct' is no mark; there are contract, irreversible" in found[WAY].message
