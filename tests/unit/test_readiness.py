"""Readiness: the score, the gaps, confidence and risk."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.judging.readiness import Change, Risk, assess
from gate.results import Case, CaseOutcome, Category, Severity
from tests.unit.suites import inconclusive, made_case, made_suite

PASSED, WARNING, FAILED = CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED
ERROR, SKIPPED, NOT_APPLICABLE = CaseOutcome.ERROR, CaseOutcome.SKIPPED, CaseOutcome.NOT_APPLICABLE
CRITICAL, HIGH, MINOR = Severity.CRITICAL, Severity.HIGH, Severity.MINOR


def score(*cases: Case, **weights: float) -> float:
    return assess(made_suite(*cases), weights).total


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([(PASSED, CRITICAL)], 100),
        ([(FAILED, CRITICAL)], 0),
        ([(WARNING, CRITICAL)], 50),
        ([(ERROR, MINOR)], 0),
        ([(SKIPPED, MINOR)], 0),
        ([(PASSED, CRITICAL), (FAILED, MINOR)], 100 * 5 / 6),
        ([(PASSED, CRITICAL), (FAILED, HIGH)], 100 * 5 / 8),
        ([(PASSED, CRITICAL), (WARNING, HIGH), (SKIPPED, MINOR)], 100 * 6.5 / 9),
        ([(PASSED, MINOR), (NOT_APPLICABLE, CRITICAL)], 100),
        ([], 0),
        ([(NOT_APPLICABLE, HIGH)], 0),
    ],
)
def test_score_of_a_category(outcomes: list[tuple[CaseOutcome, Severity]], expected: float) -> None:
    cases = [made_case(str(number), *pair) for number, pair in enumerate(outcomes)]
    assert score(*cases) == pytest.approx(expected)


def test_total_is_the_weighted_mean_of_categories_that_have_cases() -> None:
    cases = [
        made_case("a", PASSED, category=Category.SECURITY),
        made_case("b", FAILED, category=Category.DOCUMENTATION),
        made_case("c", NOT_APPLICABLE, category=Category.MIGRATIONS),
    ]
    assert score(*cases) == 50
    assert score(*cases, Security=3) == 75
    assert score(*cases, Documentation=0) == 100
    assert score(*cases, Security=0, Documentation=0) == 0  # nothing weighed anything
    scored = assess(made_suite(*cases), {"Security": 3})
    by_name = {item.name: item for item in scored.categories}
    assert list(by_name) == [str(category) for category in Category]
    assert (by_name["Security"].score, by_name["Security"].cases, by_name["Security"].weight) == (100, 1, 3)
    assert (by_name["Database Migrations"].score, by_name["Database Migrations"].cases) == (None, 0)


def test_a_case_of_no_known_category_counts() -> None:
    """A process that died before it could say its category must not make the score better."""
    cases = [made_case("a"), made_case("b", ERROR, CRITICAL, category="unknown")]
    assert score(*cases) == 50


def test_gaps_most_severe_first() -> None:
    suite = made_suite(
        made_case("small", FAILED, MINOR, message="bad"),
        made_case("good"),
        made_case("fair", WARNING),
        made_case("off", NOT_APPLICABLE),
        made_case("broke", ERROR),
        inconclusive("blind"),
        made_case("big", SKIPPED, CRITICAL),
        missing=["silent"],
    )
    gaps = assess(suite, {}).gaps
    assert [(gap.case, gap.severity) for gap in gaps] == [
        ("big", CRITICAL),
        ("silent", CRITICAL),
        ("broke", HIGH),
        ("blind", HIGH),
        ("small", MINOR),
    ]
    assert gaps[-1].message == "bad"
    assert gaps[1].message == "never reported"
    assert all(gap.message for gap in gaps)


@pytest.mark.parametrize(
    ("succeeded", "failed", "record"), [(0, 0, 1 / 2), (9, 0, 10 / 11), (9, 1, 10 / 12), (0, 8, 1 / 10)]
)
def test_confidence_is_evidence_times_track_record(succeeded: int, failed: int, record: float) -> None:
    whole = made_suite(made_case("a"), made_case("b", FAILED), made_case("off", NOT_APPLICABLE))
    assert assess(whole, {}, succeeded=succeeded, failed=failed).confidence == pytest.approx(record)
    half = made_suite(made_case("a"), inconclusive("b"))
    scored = assess(half, {}, succeeded=succeeded, failed=failed)
    assert scored.confidence == pytest.approx(record / 2)
    assert scored.inputs["evidence"] == 0.5
    assert scored.inputs["succeeded"] == succeeded
    silent = made_suite(made_case("a"), missing=["b", "c", "d"])
    assert assess(silent, {}, succeeded=succeeded, failed=failed).confidence == pytest.approx(record / 4)


def test_no_evidence_is_no_confidence() -> None:
    assert assess(made_suite(), {}, succeeded=99).confidence == 0


GOOD = [made_case(str(number)) for number in range(20)]


@pytest.mark.parametrize(
    ("change", "more", "deployments", "risk"),
    [
        (Change.NONE, [], 5, Risk.LOW),
        (Change.NONE, [], 4, Risk.LOW),
        (Change.EXPAND, [], 5, Risk.LOW),
        (Change.EXPAND, [], 4, Risk.MEDIUM),
        (Change.UNKNOWN, [], 5, Risk.MEDIUM),
        (Change.CONTRACT, [], 5, Risk.HIGH),
        (Change.NONE, [made_case("g", FAILED, MINOR)], 5, Risk.LOW),
        (Change.NONE, [made_case("g", FAILED)], 5, Risk.LOW),
        (Change.NONE, [made_case("g", FAILED), made_case("h", FAILED)], 5, Risk.MEDIUM),
        (Change.NONE, [made_case("g", FAILED, CRITICAL)], 5, Risk.HIGH),
        (Change.NONE, [inconclusive("i", MINOR)], 5, Risk.LOW),
        (Change.EXPAND, [inconclusive("i", MINOR)], 5, Risk.MEDIUM),
        (Change.NONE, [inconclusive(str(-number), MINOR) for number in range(1, 7)], 5, Risk.MEDIUM),
    ],
)
def test_risk(change: Change, more: list[Case], deployments: int, risk: Risk) -> None:
    assert assess(made_suite(*GOOD, *more), {}, succeeded=deployments, change=change).risk is risk


@pytest.mark.parametrize(
    ("outcomes", "change"),
    [
        ([PASSED, PASSED], "expand"),
        ([PASSED, WARNING], "expand"),
        ([PASSED, FAILED], "contract"),
        ([PASSED, ERROR], "unknown"),
        ([PASSED, NOT_APPLICABLE], "expand"),
        ([NOT_APPLICABLE, NOT_APPLICABLE], "none"),
        ([], "unknown"),
    ],
)
def test_what_the_migrations_do_is_read_from_their_checks(outcomes: list[CaseOutcome], change: str) -> None:
    cases = [
        made_case(str(number), outcome, CRITICAL, category=Category.MIGRATIONS)
        for number, outcome in enumerate(outcomes)
    ]
    assert assess(made_suite(*cases), {}).inputs["migrations"] == change


ANY_CASES = st.lists(
    st.builds(
        made_case,
        st.uuids().map(str),
        st.sampled_from(CaseOutcome),
        st.sampled_from(Severity),
        category=st.sampled_from([*Category, "unknown"]),
    ),
    max_size=12,
)


@given(ANY_CASES, st.randoms())
def test_order_does_not_matter_and_all_is_in_bounds(cases: list[Case], random: Random) -> None:
    scored = assess(made_suite(*cases), {})
    random.shuffle(cases)
    again = assess(made_suite(*cases), {})
    assert scored.total == pytest.approx(again.total)
    assert scored.risk is again.risk
    assert 0 <= scored.total <= 100
    assert 0 <= scored.confidence <= 1


@given(ANY_CASES)
def test_a_failure_instead_of_a_pass_never_scores_better(cases: list[Case]) -> None:
    for index, case in enumerate(cases):
        if case.outcome is PASSED:
            failed = made_case(case.id, FAILED, case.severity, category=case.category)
            worse = [*cases[:index], failed, *cases[index + 1 :]]
            assert score(*worse) < score(*cases)
