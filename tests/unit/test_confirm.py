"""What becomes of a failure: for each way its second run can end, and as far as the flake budget goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.judging import verdict
from gate.judging.confirm import CORRUPTION, Budget, Confirmation, condemned, suspect
from gate.judging.measurements import judged
from gate.judging.rules import DEFAULTS
from gate.results import Attempt, Case, CaseOutcome, Decision, Severity
from tests.unit.suites import inconclusive, made_case, made_suite

PASSED, WARNING, FAILED = CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED
DISK = next(rule for rule in DEFAULTS if rule.signal == "disk")
FAILURE = made_case("smoke/test_a.py::test_a", FAILED, Severity.CRITICAL, message="3 of 4 failed")


def full(share: float, outcome: CaseOutcome) -> Case:
    return made_case(FAILURE.id, outcome, Severity.CRITICAL, measurements=[judged(DISK, share, 1)])


def confirmation(budget: Budget | None = None, forgiven: Callable[[Case], None] = lambda _: None) -> Confirmation:
    return Confirmation(budget, begins=lambda _: None, forgiven=forgiven)


def settled(again: Case | None, budget: Budget | None = None, silence: str = "") -> Case:
    return confirmation(budget).settled(FAILURE, again, silence)


@pytest.mark.parametrize(
    ("case", "speaks_against"),
    [
        (FAILURE, True),
        (full(0.95, FAILED), True),
        (full(0.95, WARNING), True),  # a case that swallowed its own failure
        (full(0.90, WARNING), False),  # at the limit
        *((made_case("a", outcome), False) for outcome in CaseOutcome if outcome is not FAILED),
    ],
)
def test_what_speaks_against_a_release(case: Case, speaks_against: bool) -> None:
    assert condemned(case) is suspect(case) is speaks_against
    assert not suspect(replace(case, confirmation="stands"))


@pytest.mark.parametrize("again", [made_case(FAILURE.id, PASSED), full(0.8, WARNING)])
def test_one_that_passes_is_flaky_and_its_second_run_counts(again: Case) -> None:
    told: list[Case] = []
    found = confirmation(None, told.append).settled(FAILURE, again)
    assert told == [found]
    assert found.flaky
    assert (found.outcome, found.measurements) == (again.outcome, again.measurements)
    assert found.attempts == (
        Attempt(FAILED, FAILURE.seconds, FAILURE.message, FAILURE.details, FAILURE.measurements),
        Attempt(again.outcome, again.seconds, again.message, again.details, again.measurements),
    )
    assert found.confirmation == "failed first: 3 of 4 failed; passed when it was run once more"


STANDING = [
    (made_case(FAILURE.id, FAILED, message="3 of 4 failed"), "failed again"),
    (made_case(FAILURE.id, FAILED, message="2 of 4 failed"), "failed again: 2 of 4 failed"),
    (full(0.95, WARNING), "failed again"),
    (
        made_case(FAILURE.id, CaseOutcome.ERROR, message="disk gone"),
        "run once more, the checker itself broke: disk gone",
    ),
    (made_case(FAILURE.id, CaseOutcome.SKIPPED, message="no"), "run once more, it did not pass (skipped): no"),
    (made_case(FAILURE.id, CaseOutcome.NOT_APPLICABLE), "run once more, it did not pass (not_applicable)"),
    (inconclusive(FAILURE.id), "run once more, it did not pass (warning)"),
]


@pytest.mark.parametrize(("again", "said"), STANDING)
def test_anything_but_a_pass_lets_the_failure_stand(again: Case, said: str) -> None:
    found = settled(again)
    assert replace(found, confirmation="", attempts=()) == FAILURE
    assert found.confirmation == said
    assert [attempt.outcome for attempt in found.attempts] == [FAILED, again.outcome]
    assert not suspect(found)


def test_one_that_never_reports_stands() -> None:
    found = settled(None, silence="pytest ended with exit code 3")
    assert found.outcome is FAILED
    assert found.confirmation == "run once more, it never reported: pytest ended with exit code 3"
    assert len(found.attempts) == 1


def test_wrong_data_is_never_run_again() -> None:
    found = confirmation().first(replace(FAILURE, corruption=True))
    assert found.confirmation == CORRUPTION
    assert not suspect(found)
    good = replace(made_case("a"), corruption=True)
    assert confirmation().first(good) == good


def test_the_budget_at_its_end_and_one_past_it() -> None:
    budget = Budget(2, ["test_old in 41"])
    sut = confirmation(budget)
    assert suspect(sut.first(FAILURE))
    first, second = sut.settled(FAILURE, made_case("a")), sut.settled(FAILURE, made_case("b"))
    assert (first.flaky, second.flaky, budget.left) == (True, False, 0)
    spent = "the flake budget of 2 is spent: test_old in 41, test_a now"
    assert second.outcome is FAILED
    assert second.confirmation == f"passed when it was run once more, but {spent}"
    assert sut.first(FAILURE).confirmation == f"not run again: {spent}"


def test_no_budget_at_all() -> None:
    found = confirmation(Budget(0)).first(FAILURE)
    assert found.confirmation == "not run again: no flaky case is forgiven here (flake_budget = 0)"


def test_a_lowered_budget_may_be_overdrawn() -> None:
    assert Budget(1, ["a", "b"]).left == 0


def test_the_reasons_say_how_it_was_confirmed() -> None:
    again = made_case(FAILURE.id, FAILED, message="2 of 4 failed")
    critical = verdict.after(made_suite(settled(again)), DEFAULTS)
    assert critical.reasons[0].text.endswith(": 3 of 4 failed (failed again: 2 of 4 failed)")
    long = replace(FAILURE, severity=Severity.HIGH, message="x" * 500)
    stands = confirmation(Budget(1, ["test_b in 3"])).first(long)
    assert (
        verdict.after(made_suite(stands), DEFAULTS)
        .reasons[0]
        .text.endswith("… (not run again: the flake budget of 1 is spent: test_b in 3)")
    )
    figure = confirmation(None).settled(full(0.95, FAILED), full(0.95, FAILED))
    assert verdict.after(made_suite(figure), DEFAULTS).reasons[0].text.endswith(f"{FAILURE.id} (failed again)")


def test_flaky_cases_pass_and_are_counted_apart() -> None:
    suite = made_suite(made_case("good"), settled(made_case(FAILURE.id)))
    judged_ = verdict.after(suite, DEFAULTS)
    assert judged_.decision is Decision.GO
    assert judged_.reasons[0].text == "2 of 2 cases passed, 1 flaky"
    between = verdict.after(made_suite(made_case("good"), settled(full(0.8, WARNING))), DEFAULTS)
    assert between.decision is Decision.HOLD  # the figure of the second run is judged like any other


@given(st.lists(st.sampled_from([None, *CaseOutcome]), max_size=6), st.integers(0, 3))
def test_no_more_is_forgiven_than_the_budget_allows(seconds: list[CaseOutcome | None], limit: int) -> None:
    sut = confirmation(Budget(limit))
    found = [sut.settled(FAILURE, made_case(FAILURE.id, outcome) if outcome else None) for outcome in seconds]
    passed = [outcome in (PASSED, WARNING) for outcome in seconds]
    assert sum(case.flaky for case in found) == min(limit, sum(passed))
    assert all(case.flaky or case.outcome is FAILED for case in found)
    assert all(good for case, good in zip(found, passed, strict=True) if case.flaky)
    assert not any(map(suspect, found))
