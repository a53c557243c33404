"""The measures of deployments: each one's formula, how few are too few, and that nothing else is counted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gate.evidence import courses
from gate.judging import dora
from gate.judging.dora import Measure
from gate.results import Outcome
from tests.evidence.history import History, a_quarter

HOUR = 3600.0


def measured(history: History) -> dict[str, Measure]:
    return {item.name: item for item in dora.measures(courses.read(history.store), history.now)}


@pytest.fixture
def history() -> History:
    """Ten releases in five weeks; three were taken back under users, one before any, and one by a person."""
    made = History()
    for number in range(10):
        made.run(Outcome.RELEASED, lead=number * HOUR, took=60 + number)
        made.wait(days=3.5)
    for decided in (2, 4, 60):
        made.run(Outcome.ROLLED_BACK, users=20, decided=decided, took=90)
    made.run(Outcome.ROLLED_BACK, users=None, decided=1, took=17)
    bad = made.run(Outcome.RELEASED, lead=HOUR, took=40)
    made.wait(minutes=10)
    made.run(Outcome.ROLLED_BACK, action="rollback", serving=bad, users=1, took=8)
    return made


def test_each_formula(history: History) -> None:
    found = measured(history)
    weeks = (history.now - history.now.replace(year=2026, month=9, day=1, hour=2, minute=0, second=0)) / timedelta(
        weeks=1
    )
    assert found["deployment_frequency"].value == pytest.approx(11 / weeks, rel=1e-3)
    assert found["lead_time"].value == pytest.approx(4 * HOUR + 63, abs=HOUR)
    assert (found["change_failure_rate"].value, found["change_failure_rate"].n) == (4 / 14, 14)
    assert found["success_rate"].value == 10 / 15, "the one that a person took back was no success either"
    assert found["deployment_time"].value == pytest.approx(64)
    # 2, 4 and 60 s after users reached it; by a person 601 s after it was accepted, which began 20 s after users did.
    assert found["detection_time"].value == pytest.approx((4 + 60) / 2)
    assert found["time_to_restore"].value == pytest.approx((4.5 + 8) / 2)
    assert found["rollback_time"].n == 5


def test_a_rollback_that_died_and_was_undone_took_nothing_back(history: History) -> None:
    good = history.run(Outcome.RELEASED)
    before = {name: item.value for name, item in measured(history).items() if name.endswith(("rate", "restore"))}
    history.run(Outcome.ROLLED_BACK, action="rollback", serving=good, users=1, took=8, died=True)
    assert {name: item.value for name, item in measured(history).items() if name in before} == before


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.PLANNED, Outcome.LOCKED, Outcome.INTERRUPTED, None])
def test_what_touched_nothing_or_has_not_ended_counts_nowhere(history: History, outcome: Outcome | None) -> None:
    before = {name: (item.value, item.n) for name, item in measured(history).items() if name != "deployment_frequency"}
    for _ in range(5):
        history.run(outcome, users=None)
    after = {name: (item.value, item.n) for name, item in measured(history).items() if name in before}
    assert after == before


def test_of_too_few_nothing_is_said() -> None:
    made = History()
    assert all(item.value is None and item.missing for item in measured(made).values())
    for _ in range(dora.LEAST - 1):
        made.run(Outcome.RELEASED, lead=HOUR)
        made.wait(days=3)
    assert measured(made)["success_rate"].missing == "too few: 4 of at least 5"
    assert all(item.value is None for item in measured(made).values())
    made.run(Outcome.RELEASED, lead=HOUR)
    found = measured(made)
    assert found["success_rate"].value == 1
    assert found["deployment_frequency"].value is not None
    assert found["time_to_restore"].missing == "too few: 0 of at least 3"


def test_a_busy_day_is_no_frequency() -> None:
    made = History()
    for _ in range(9):
        made.run(Outcome.RELEASED)
    assert measured(made)["deployment_frequency"].missing == "less than a week of deployments"


def test_commits_nobody_knows_are_left_out_and_clocks_that_go_back_too() -> None:
    made = History()
    for lead in (None, None, -HOUR, HOUR, HOUR):
        made.run(Outcome.RELEASED, lead=lead)
    assert (measured(made)["lead_time"].value, measured(made)["lead_time"].n) == (None, 2)


def test_what_lies_further_back_than_the_window_is_not_counted() -> None:
    made = History()
    for _ in range(6):
        made.run(Outcome.ROLLED_BACK)
    made.wait(days=91)
    for _ in range(5):
        made.run(Outcome.RELEASED)
    assert (measured(made)["success_rate"].value, measured(made)["success_rate"].n) == (1, 5)


def test_a_quarter_of_a_team_has_every_measure() -> None:
    assert [name for name, item in measured(a_quarter()).items() if item.value is None] == []
