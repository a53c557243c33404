"""Nobody waits for a look of the monitoring: it holds no lock, gives way to a run, and acts on what is still so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from gate.deployment.view import Silent
from gate.engines.base import Engine
from gate.monitoring import looking
from gate.monitoring.premises import EVERY, Premises
from gate.records import lock
from gate.records.lock import LOOKS, Lock
from gate.results import Decision, Outcome
from tests.unit.test_looking import SERVES, Serves
from tests.unit.test_monitor import GO, HOLD, ROLLBACK, Here, made


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return made(tmp_path)


def rollback(here: Here, ends: Outcome | None = Outcome.ROLLED_BACK) -> Callable[[], None]:
    """What a person types while it looks: takes the lock as ``rollback`` does, and goes back."""

    def typed() -> None:
        with Lock(here.environment).held("rolling back to the release before"):
            here.deployed("1.0.0", ends, action="rollback")
            here.serves = "r2"

    return typed


@pytest.mark.parametrize("sees", [GO, HOLD, ROLLBACK])
def test_a_rollback_that_a_person_types_meanwhile_is_not_kept_waiting(here: Here, sees: Decision) -> None:
    here.sees, here.meanwhile = sees, rollback(here)  # raises Locked where the look holds the lock
    answer = here.at(15)
    assert (answer.outcome, answer.outcome.exit_code) == (Outcome.LOCKED, 5)
    assert here.ticks() == [], "what was seen says nothing any more"
    assert (here.rolled_back, here.paged, here.alerted) == ([], [], [])
    assert "rolling back to 1.0.0 (deployment 2, by alice@ops) began meanwhile" in here.said[-1]
    assert "waits for the next call" in here.said[-1]
    assert here.stops == ["rolling back to 1.0.0 (deployment 2, by alice@ops) began meanwhile"], "its suite is ended"


def test_a_rollback_that_goes_on_while_it_looks_is_given_way_too(here: Here) -> None:
    here.sees, here.meanwhile = ROLLBACK, rollback(here, ends=None)
    assert here.at(15).outcome is Outcome.LOCKED
    assert here.ticks() == []


def test_traffic_that_somebody_moved_without_a_record_makes_a_look_void(here: Here) -> None:
    def elsewhere() -> None:
        here.serves = "r7"

    here.sees, here.meanwhile = ROLLBACK, elsewhere
    assert here.at(15).outcome is Outcome.LOCKED
    assert (here.ticks(), here.rolled_back) == ([], [])
    assert "traffic was moved from r1 to r7 meanwhile" in here.said[-1]


def test_a_dry_run_meanwhile_changes_nothing(here: Here) -> None:
    here.meanwhile = lambda: here.deployed("1.2.0", Outcome.PLANNED, action="plan")
    assert here.at(15).outcome.exit_code == 0
    assert here.ticks() == [(0, "GO", "")]


def test_who_decided_between_the_verdict_and_the_lock_has_decided(here: Here) -> None:
    here.sees, here.before_acting = ROLLBACK, rollback(here)
    answer = here.at(15)
    assert (answer.outcome, here.rolled_back) == (Outcome.LOCKED, [])
    assert "nothing was done: rolling back to 1.0.0" in here.said[-1]
    assert here.ticks() == [(0, "ROLLBACK", "")], "it was seen, and nothing was done about it"


def test_a_lock_that_is_taken_when_it_wants_to_act_is_left_alone_and_it_looks_again(here: Here) -> None:
    taken = lock.Lock(here.environment).held("deploying 1.2.0")
    here.sees, here.meanwhile = ROLLBACK, taken.__enter__
    answer = here.at(15)
    assert (answer.outcome, here.rolled_back) == (Outcome.LOCKED, [])
    assert "nothing was done: another run holds this environment: deploying 1.2.0" in here.said[-1]
    taken.__exit__(None, None, None)
    here.meanwhile = lambda: None
    assert here.at(16).outcome is Outcome.ROLLED_BACK
    assert len(here.looks) == 1


def test_the_lock_is_held_while_it_rolls_back(here: Here) -> None:
    told: list[str | None] = []

    def back() -> Outcome:
        told.append(Lock(here.environment).holder())
        return Outcome.ROLLED_BACK

    here.sees, here.rolls_back = ROLLBACK, back
    here.at(15)
    assert "rolling back 1.1.0, which its monitoring found bad by " in str(told[0])


def test_two_looks_are_kept_apart(here: Here) -> None:
    with Lock(here.environment, LOOKS).held("looking"):
        answer = here.at(15)
    assert (answer.outcome, here.looks) == (Outcome.LOCKED, [])
    assert "another call of monitor is at it" in here.said[-1]


def test_two_calls_at_once_make_one_tick(here: Here) -> None:
    other = Here(here.environment)
    answers: list[Outcome] = []
    here.meanwhile = lambda: answers.append(other.at(15).outcome)
    here.at(15)
    assert (answers, other.looks, here.ticks()) == ([Outcome.LOCKED], [], [(0, "GO", "")])


def test_the_records_are_asked_now_and_then_and_the_end_decides(here: Here) -> None:
    now = [0.0]
    store = here.store
    begun = Premises.of(store, lambda: "r1").watch(store, lambda: now[0])
    assert not begun()
    here.deployed("1.2.0", None)
    assert not begun(), "asked a moment ago"
    now[0] += EVERY
    assert begun() == "deploying 1.2.0 (deployment 2, by alice@ops) began meanwhile"


def test_a_look_ends_soon_after_a_run_has_begun(here: Here) -> None:
    """The real look: what is left is not asked any more, its smoke tests least of all, which are not even there."""
    released = here.store.deployments(1)[0]
    engine, at = Serves("http://127.0.0.1:9"), datetime.now(UTC)
    engine.serves = replace(SERVES, digest=released.digest)
    seen = looking.look(
        here.environment, cast(Engine, engine), released, at, at, view=Silent(), stop=lambda: "a run began"
    )
    assert not (here.environment.state_folder / "monitoring").exists(), "no suite was begun"
    assert seen.verdict.decision is HOLD
