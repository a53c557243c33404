"""The verdict: each rule at its limit and one past it, and what holds for every suite there can be."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.judging import readiness, verdict
from gate.judging.limits import Limit, Rule, Unit
from gate.judging.measurements import judged, nothing_measured
from gate.judging.rules import DEFAULTS
from gate.results import Case, CaseOutcome, Decision, Measurement, Severity, SuiteResult, Verdict
from tests.unit.suites import inconclusive, made_case, made_suite

GO, HOLD, NO_GO, ROLLBACK = Decision.GO, Decision.HOLD, Decision.NO_GO, Decision.ROLLBACK
PASSED, WARNING, FAILED = CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED
ERROR, SKIPPED, NOT_APPLICABLE = CaseOutcome.ERROR, CaseOutcome.SKIPPED, CaseOutcome.NOT_APPLICABLE
CRITICAL, HIGH, MINOR = Severity.CRITICAL, Severity.HIGH, Severity.MINOR

GOOD = made_case("good", severity=CRITICAL)
RESPONSE_TIME = next(rule for rule in DEFAULTS if rule.signal == "response_time")


def after(*cases: Case, least: int | None = None, **more: Any) -> Verdict:
    return verdict.after(made_suite(*cases, **more), DEFAULTS, least=least)


def before(suite: SuiteResult, minimum: float = 90, least: int | None = None) -> Verdict:
    return verdict.before(suite, readiness.assess(suite, {}), minimum, least=least)


def many(outcome: CaseOutcome, count: int, severity: Severity = HIGH) -> list[Case]:
    return [made_case(f"{outcome}{number}", outcome, severity) for number in range(count)]


def timed(seconds: float, n: int = 20, outcome: CaseOutcome = WARNING, severity: Severity = HIGH) -> Case:
    return made_case("timed", outcome, severity, measurements=[judged(RESPONSE_TIME, seconds, n, "GET /")])


@pytest.mark.parametrize(
    ("cases", "decision"),
    [
        ([GOOD], GO),
        ([GOOD, made_case("w", WARNING)], GO),
        ([GOOD, made_case("na", NOT_APPLICABLE, CRITICAL)], GO),
        # smoke failures: 1 and 2 hold, the third rolls back; a single critical one does
        ([GOOD, *many(FAILED, 1)], HOLD),
        ([GOOD, *many(FAILED, 2)], HOLD),
        ([GOOD, *many(FAILED, 3)], ROLLBACK),
        ([GOOD, *many(FAILED, 3, MINOR)], ROLLBACK),
        ([GOOD, *many(FAILED, 1, CRITICAL)], ROLLBACK),
        # a checker that broke saw nothing: it never rolls back
        ([GOOD, *many(ERROR, 1)], HOLD),
        ([GOOD, *many(ERROR, 9)], HOLD),
        ([GOOD, *many(ERROR, 1, CRITICAL)], HOLD),
        ([GOOD, *many(ERROR, 9), *many(FAILED, 3)], ROLLBACK),
        # figures
        ([GOOD, timed(0.999, outcome=PASSED)], GO),
        ([GOOD, timed(1.0)], HOLD),
        ([GOOD, timed(3.0)], HOLD),
        ([GOOD, timed(3.001, outcome=FAILED)], ROLLBACK),
        ([GOOD, timed(3.001, n=19)], HOLD),
        # coverage
        ([], HOLD),
        (many(SKIPPED, 2), HOLD),
        (many(NOT_APPLICABLE, 2), HOLD),
        ([inconclusive("only one")], HOLD),
        ([GOOD, *many(SKIPPED, 1)], HOLD),
        ([GOOD, *many(SKIPPED, 1, CRITICAL)], HOLD),
        ([GOOD, inconclusive("i", CRITICAL)], HOLD),
        ([GOOD, inconclusive("i", HIGH)], GO),
    ],
)
def test_after(cases: list[Case], decision: Decision) -> None:
    assert after(*cases).decision is decision


def test_after_a_suite_that_did_not_run_to_its_end() -> None:
    assert after(GOOD, broken="crashed").decision is HOLD
    assert after(GOOD, missing=["silent"]).decision is HOLD


def test_fewer_cases_than_last_time() -> None:
    assert after(GOOD, made_case("b"), least=2).decision is GO
    fewer = after(GOOD, made_case("b", NOT_APPLICABLE), least=2)
    assert fewer.decision is HOLD
    assert fewer.reasons[0].text == "1 cases ran, 2 did for the last accepted release"


def test_what_a_stopped_run_left_out_is_no_reason() -> None:
    stopped = after(GOOD, *many(FAILED, 1, CRITICAL), missing=["later"], stopped="critical")
    assert [reason.signal for reason in stopped.reasons if reason.decision is not ROLLBACK] == ["smoke_failures"]
    interrupted = after(GOOD, missing=["later"], stopped="for no reason")
    assert interrupted.decision is HOLD


@pytest.mark.parametrize(
    ("cases", "decision"),
    [
        ([GOOD], GO),
        ([GOOD, *many(FAILED, 1, CRITICAL)], NO_GO),
        ([GOOD, *many(ERROR, 1, MINOR)], NO_GO),
        ([GOOD, *many(SKIPPED, 1, MINOR)], NO_GO),
        ([GOOD, inconclusive("i", CRITICAL)], NO_GO),
        ([], NO_GO),
        (many(SKIPPED, 2), NO_GO),
        (many(NOT_APPLICABLE, 2), NO_GO),
        # 9 of 10 equal cases are exactly 90; 17 of 19 are less
        ([*many(PASSED, 9), *many(FAILED, 1)], GO),
        ([*many(PASSED, 17), *many(FAILED, 2)], NO_GO),
    ],
)
def test_before(cases: list[Case], decision: Decision) -> None:
    assert before(made_suite(*cases)).decision is decision


def test_before_a_broken_or_incomplete_suite() -> None:
    assert before(made_suite(GOOD, broken="crashed")).decision is NO_GO
    assert before(made_suite(GOOD, missing=["silent"])).decision is NO_GO
    assert before(made_suite(GOOD), least=2).decision is NO_GO
    assert before(made_suite(GOOD), least=1).decision is GO


def test_a_score_below_the_minimum_is_never_shown_as_the_minimum() -> None:
    suite = made_suite(*many(PASSED, 8996), *many(FAILED, 1000))
    (reason,) = before(suite).reasons
    assert reason.text == "readiness 89.9 of 100 is below the minimum of 90"


def test_reasons_carry_numbers_and_the_worst_comes_first() -> None:
    judgement = after(GOOD, timed(1.5), *many(FAILED, 1, CRITICAL), made_case("skip", SKIPPED))
    assert [reason.decision for reason in judgement.reasons] == [ROLLBACK, HOLD, HOLD, HOLD]
    by_signal = {reason.signal: reason for reason in judgement.reasons}
    assert by_signal["critical_failures"].case == "failed0"
    assert by_signal["critical_failures"].severity is CRITICAL
    figure = by_signal["response_time"]
    assert (figure.value, figure.limit, figure.n, figure.case) == (1.5, "< 1 s", 20, "timed")
    assert figure.text == "response_time 1.50 s, wanted < 1 s (n = 20, GET /): timed"
    assert by_signal["smoke_failures"].value == 1


def test_a_critical_figure_is_told_once() -> None:
    judgement = after(GOOD, timed(4.02, outcome=FAILED, severity=CRITICAL))
    (reason,) = [reason for reason in judgement.reasons if reason.decision is ROLLBACK]
    assert reason.text == "response_time 4.02 s > 3 s (n = 20, GET /): timed"


def test_go_has_a_reason_too() -> None:
    (reason,) = after(GOOD, made_case("na", NOT_APPLICABLE)).reasons
    assert (reason.decision, reason.text) == (GO, "1 of 1 cases passed")


def test_one_that_could_not_tell_has_not_passed() -> None:
    suite = made_suite(GOOD, inconclusive("blind"), made_case("late", WARNING), made_case("na", NOT_APPLICABLE))
    assert verdict.counted(suite) == "2 of 3 cases passed, 1 could not tell, 1 with a reservation"
    (reason,) = after(*suite.cases).reasons
    assert (reason.text, reason.value, reason.n) == (verdict.counted(suite), 2, 3)
    assert verdict.counted(made_suite(GOOD, missing=["gone"])) == "1 of 2 cases passed"


def rule(signal: str, go: str | None, rollback: str | None, *, dry_run: bool = False, min_n: int = 1) -> Rule:
    parsed = [Limit.parse(text, Unit.COUNT) if text else None for text in (go, rollback)]
    return Rule(signal, Unit.COUNT, parsed[0], parsed[1], min_n, dry_run=dry_run)


def test_rules_of_the_environment_count() -> None:
    patient = [rule("smoke_failures", "<= 1", "> 4"), rule("checker_errors", "<= 1", "> 4")]
    assert verdict.after(made_suite(GOOD, *many(FAILED, 1)), patient).decision is GO
    assert verdict.after(made_suite(GOOD, *many(FAILED, 4)), patient).decision is HOLD
    assert verdict.after(made_suite(GOOD, *many(FAILED, 5)), patient).decision is ROLLBACK
    assert verdict.after(made_suite(GOOD, *many(ERROR, 1)), patient).decision is GO
    assert verdict.after(made_suite(GOOD, *many(ERROR, 1, CRITICAL)), patient).decision is HOLD
    assert verdict.after(made_suite(GOOD, *many(ERROR, 2)), patient).decision is HOLD


def test_a_dry_run_only_reports() -> None:
    dry = [rule("smoke_failures", "== 0", "> 2", dry_run=True)]
    judgement = verdict.after(made_suite(GOOD, *many(FAILED, 5)), dry)
    assert judgement.decision is GO
    assert judgement.reasons[0].text.startswith("dry run: 5 > 2 of 6 cases failed")
    assert verdict.after(made_suite(GOOD, *many(FAILED, 1, CRITICAL)), dry).decision is ROLLBACK


def test_no_rule_given_is_the_default_rule() -> None:
    assert verdict.after(made_suite(GOOD, *many(FAILED, 3)), []).decision is ROLLBACK


def test_decided_as_soon_as_nothing_can_change_it() -> None:
    def decided(*cases: Case) -> Decision | None:
        judgement = verdict.decided(made_suite(*cases, missing=["later"]), DEFAULTS)
        return judgement.decision if judgement else None

    assert decided() is None
    assert decided(GOOD, *many(FAILED, 2)) is None
    assert decided(*many(FAILED, 3)) is ROLLBACK
    assert decided(*many(FAILED, 1, CRITICAL)) is ROLLBACK
    assert decided(*many(ERROR, 9, CRITICAL)) is None
    assert decided(timed(3.0)) is None
    assert decided(timed(3.001, outcome=FAILED)) is ROLLBACK


def test_measured_counts_what_could_tell() -> None:
    cases = [GOOD, *many(FAILED, 1), *many(WARNING, 1), *many(ERROR, 1), *many(SKIPPED, 1), inconclusive("i")]
    assert verdict.measured(made_suite(*cases, *many(NOT_APPLICABLE, 1))) == 3


FIGURES = st.builds(
    judged, st.sampled_from(DEFAULTS), st.floats(0, 10), st.integers(1, 40), st.sampled_from(["", "GET /"])
) | st.just(nothing_measured("no tool"))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    figures: list[Measurement] = draw(st.lists(FIGURES, max_size=2))
    return made_case(
        draw(st.uuids()).hex, draw(st.sampled_from(CaseOutcome)), draw(st.sampled_from(Severity)), measurements=figures
    )


ANY_CASES = st.lists(cases(), max_size=8)
_ORDER = list(Decision)


def rank(judgement: Verdict) -> int:
    return _ORDER.index(judgement.decision)


@given(ANY_CASES, st.randoms())
def test_order_does_not_matter(found: list[Case], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert after(*shuffled).decision is after(*found).decision
    assert before(made_suite(*shuffled)).decision is before(made_suite(*found)).decision


@given(ANY_CASES, cases())
def test_a_case_that_fails_never_makes_it_better(found: list[Case], another: Case) -> None:
    failed = dataclasses.replace(another, outcome=FAILED)
    assert rank(after(*found, failed)) >= rank(after(*found))
    for index, case in enumerate(found):
        if case.outcome is PASSED:
            worse = [*found[:index], dataclasses.replace(case, outcome=FAILED), *found[index + 1 :]]
            assert rank(after(*worse)) >= rank(after(*found))
            assert rank(before(made_suite(*worse))) >= rank(before(made_suite(*found)))


@given(ANY_CASES)
def test_nothing_measured_is_never_go(found: list[Case]) -> None:
    suite = made_suite(*found)
    if verdict.measured(suite) == 0:
        assert after(*found).decision is not GO
        assert before(suite).decision is NO_GO


@given(ANY_CASES)
def test_go_means_that_no_critical_case_failed_and_all_reported(found: list[Case]) -> None:
    suite = made_suite(*found)
    for judgement in (after(*found), before(suite)):
        if judgement.decision is GO:
            assert not [
                case for case in found if case.severity is CRITICAL and case.outcome in (FAILED, ERROR, SKIPPED)
            ]
            assert suite.cases
    assert before(made_suite(*found, missing=["silent"])).decision is NO_GO
    assert after(*found, missing=["silent"]).decision is not GO


@given(ANY_CASES, ANY_CASES)
def test_decided_is_final(found: list[Case], later: list[Case]) -> None:
    """Once decided, no later case changes it, and the verdict at the end is the same."""
    if verdict.decided(made_suite(*found), DEFAULTS) is not None:
        assert verdict.decided(made_suite(*found, *later), DEFAULTS) is not None
        assert after(*found, *later).decision is ROLLBACK
    else:
        assert after(*found).decision is not ROLLBACK


@given(ANY_CASES)
def test_every_verdict_has_a_reason_that_carries_it(found: list[Case]) -> None:
    for judgement in (after(*found), before(made_suite(*found))):
        assert judgement.reasons[0].decision is judgement.decision
        assert all(reason.text for reason in judgement.reasons)
