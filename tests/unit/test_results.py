"""The values everything shares: their order, their codes, what a record says is missing."""

from __future__ import annotations

import pytest

from gate.results import CaseOutcome, Decision, Outcome, Severity
from tests.unit.suites import inconclusive, made_case, made_suite


def test_exit_codes_are_the_contract() -> None:
    assert {str(outcome): outcome.exit_code for outcome in Outcome} == {
        "RELEASED": 0,
        "ROLLED_BACK": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "ROLLBACK_FAILED": 4,
        "RESTORED": 0,
        "LOCKED": 5,
        "HELD": 6,
        "INTERRUPTED": 130,
        "PLANNED": 0,
    }


@pytest.mark.parametrize(
    ("decisions", "worst"),
    [
        ([], Decision.HOLD),
        ([Decision.GO, Decision.GO], Decision.GO),
        ([Decision.GO, Decision.HOLD], Decision.HOLD),
        ([Decision.NO_GO, Decision.HOLD], Decision.NO_GO),
        ([Decision.ROLLBACK, Decision.GO, Decision.HOLD], Decision.ROLLBACK),
    ],
)
def test_the_worst_decision_wins_and_nothing_is_hold(decisions: list[Decision], worst: Decision) -> None:
    assert Decision.worst(decisions) is worst


def test_weights_of_severities() -> None:
    assert [severity.weight for severity in Severity] == [5, 3, 1]


def test_missing_is_planned_and_not_reported() -> None:
    suite = made_suite(made_case("a"), made_case("b", CaseOutcome.FAILED), missing=["c"])
    assert suite.missing == ("c",)
    assert [case.id for case in suite.of(CaseOutcome.FAILED, CaseOutcome.ERROR)] == ["b"]


def test_inconclusive_is_a_figure_from_no_sample() -> None:
    assert inconclusive("a").inconclusive
    assert not made_case("a", CaseOutcome.WARNING).inconclusive
