"""A run that died ends monitoring aloud: whoever is called is told, once, and again whenever a look would be due."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gate.deployment import abandoned
from gate.records.lock import Lock
from gate.results import Outcome
from tests.unit.test_monitor import ROLLBACK, Here, made, raises


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return made(tmp_path)


def outcomes(here: Here, *minutes: float) -> list[int]:
    return [here.at(minute).outcome.exit_code for minute in minutes]


def test_a_dead_run_is_told_at_once_also_where_no_look_is_due(here: Here) -> None:
    here.deployed("1.2.0", None)
    answer = here.at(14)
    assert (answer.outcome, answer.outcome.exit_code) == (Outcome.HELD, 6)
    number, told, next_step = here.dead[0]
    assert (number, next_step) == (2, "python deploy_gate.py here recover")
    assert "deployment 2 (1.2.0, by alice@ops, " in told
    assert "died unfinished: nothing is monitored until that has an end" in told
    page = "\n".join(here.paged)
    assert "ALERT here: " in page
    assert told in page
    assert "call  primary: the one on call, 101" in page
    assert "next  python deploy_gate.py here recover" in page
    assert (here.looks, here.ticks()) == ([], [])
    assert answer.document["next"] == next_step


def test_it_is_told_again_when_a_look_is_due_and_not_every_minute(here: Here) -> None:
    here.deployed("1.2.0", None)
    assert outcomes(here, 14, 14.5, 15, 16, 29) == [6, 5, 6, 5, 5]
    assert (len(here.dead), here.paged) == (2, [])
    assert "people were told" in here.said[-1]
    assert "recover" in here.said[-1]
    assert here.ticks() == [(0, "HOLD", "alerted")], "a look that could not tell is not green"
    assert here.at(30).outcome.exit_code == 6
    assert [str(found.standing) for found in here.reported] == [
        "1 inconclusive of 30 ticks", "2 inconclusive of 30 ticks",
    ]  # fmt: skip


def test_monitoring_goes_on_once_it_was_recovered(here: Here) -> None:
    dead = here.deployed("1.2.0", None)
    assert outcomes(here, 15) == [6]
    here.store.end(dead, Outcome.ROLLED_BACK, [], cases=1, checks=1, report=None)
    assert outcomes(here, 16, 30) == [0, 0]
    assert [decision for _, decision, _ in here.ticks()] == ["HOLD", "GO"]


def test_what_could_not_be_undone_has_been_told_and_is_told_again_when_a_look_is_due(here: Here) -> None:
    here.deployed("1.2.0", Outcome.ROLLBACK_FAILED)
    assert outcomes(here, 14, 15, 16) == [5, 6, 5]
    (title, why, version), = here.alerted  # fmt: skip
    assert (here.dead, version) == ([], "1.2.0")
    assert "nothing is monitored" in title
    assert "could not be undone" in why[0]


def test_a_decision_that_died_is_a_dead_run_too(here: Here) -> None:
    held = here.deployed("1.2.0", Outcome.HELD)
    here.store.write(held, "bake", "held", {"reasons": ["?"], "share": 0.5})
    here.store.write(held, "bake", "kept", {})
    assert outcomes(here, 15) == [6]
    assert [number for number, _, _ in here.dead] == [2]


def test_a_first_deployment_that_died_is_told_too(tmp_path: Path) -> None:
    empty = Here(made(tmp_path / "other").environment)
    empty.store.end(1, Outcome.ROLLED_BACK, [], cases=0, checks=0, report=None)  # nothing was ever kept
    empty.deployed("1.1.0", None)
    assert outcomes(empty, 1, 2) == [6, 5]
    assert len(empty.dead) == 1


def test_a_run_that_goes_on_is_not_dead(here: Here) -> None:
    here.deployed("1.2.0", None)
    with Lock(here.environment).held("deploying 1.2.0"):
        assert outcomes(here, 14, 15) == [0, 5]
    assert (here.dead, here.paged) == ([], [])
    assert "deploying 1.2.0" in here.said[-1]


def test_a_run_that_died_before_it_touched_anything_ends_and_nobody_is_woken(here: Here) -> None:
    facts: dict[str, Any] = {"action": "plan", "version": "1.2.0", "digest": "d", "commit": None, "folder": "x"}
    here.store.begin(**facts, by="bob@ci", stable_version=None, stable_instance=None)
    assert outcomes(here, 15) == [0]
    assert here.ticks() == [(0, "GO", "")]
    assert (here.dead, here.paged) == ([], [])
    assert here.store.deployments(1)[0].outcome is Outcome.INTERRUPTED
    assert any("before it touched anything" in line for line in here.said)


def test_after_a_rollback_that_was_killed_the_red_look_is_made_up_for(here: Here) -> None:
    """The dead rollback is told; once it has an end, what was red is looked at again at once."""
    here.sees, here.rolls_back = ROLLBACK, raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        here.at(15)
    dead = here.deployed("1.0.0", None, action="rollback")
    assert outcomes(here, 16, 17) == [6, 5]
    here.store.end(dead, Outcome.INTERRUPTED, [], cases=1, checks=1, report=None)
    here.rolls_back = lambda: Outcome.ROLLED_BACK
    assert outcomes(here, 18) == [1]


def test_it_is_told_though_it_cannot_be_written_down(here: Here) -> None:
    """No row can be added: people are told all the same, and again the next time."""
    here.deployed("1.2.0", None)
    with closing(sqlite3.connect(here.environment.state_folder / "gate.db")) as records:
        for table in ("events", "monitor_ticks"):
            full = f"BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'full'); END"
            records.execute(f"CREATE TRIGGER full_{table} {full}")
        records.commit()
    assert outcomes(here, 14, 14.5) == [6, 6]
    assert len(here.dead) == 2
    assert any("not recorded, so it is told again" in line for line in here.said)


def test_what_runs_is_not_left(here: Here) -> None:
    assert abandoned.find(here.environment, here.store) is None
    here.deployed("1.2.0", None)
    found = abandoned.find(here.environment, here.store)
    assert found is not None
    assert found.version == "1.2.0"
    with Lock(here.environment).held("deploying 1.2.0"):
        assert abandoned.find(here.environment, here.store) is None
