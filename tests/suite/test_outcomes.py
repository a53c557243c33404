"""What a case comes to in the record, for each way it can end."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.results import CaseOutcome, Decision, Severity, SuiteResult
from tests.suite.project import SECRET, Project, case

CASES = '''
from decimal import Decimal
from enum import StrEnum

@pytest.mark.critical
def test_passes():
    """Does what it should.

    More about it.
    """

@pytest.mark.minor
def test_fails():
    assert {"sold": 3} == {"sold": 4}, "three were sold"

def test_fails_without_a_word():
    assert 1 + 1 == 3

def test_breaks_in_the_call(): {}["no such key"]
def test_skipped(): pytest.skip("no time")

@pytest.mark.xfail(reason="known")
def test_expected_to_fail(): assert False

@pytest.mark.xfail(reason="known", strict=False)
def test_unexpectedly_passes(): pass

@pytest.mark.requires("cache", "stable")
def test_not_applicable(): assert False

@pytest.mark.parametrize("place", ["till", "shelf"])
def test_each(place): pass

@pytest.fixture
def broken(): raise OSError("disk gone")
def test_broken_fixture(broken): pass

@pytest.fixture
def seen_in_fixture(): assert 1 == 2, "seen before the case"
def test_fixture_sees_the_fault(seen_in_fixture): pass

@pytest.fixture
def leaves_a_mess():
    yield
    raise OSError("cannot clean up")
def test_broken_teardown(leaves_a_mess): pass
def test_fails_and_breaks(leaves_a_mess): assert False, "failed first"

def test_subtests(subtests):
    for number in range(3):
        with subtests.test(number=number):
            assert number != 1, "one is wrong"

def test_skipped_subtest(subtests):
    with subtests.test("a part"):
        pytest.skip("not this part")

def test_warns(warn):
    warn("only just")
    warn("old format")
def test_cannot_tell(inconclusive): inconclusive("the index is silent")
def test_no_such_tool(run_tool): run_tool(["no-such-program"])
def test_has_tool(run_tool): assert "Python" in run_tool(["python", "--version"], timeout=30).out

def test_at_the_limit(measure): measure("response_time", 3.0, n=20)
def test_past_the_limit(measure):
    measure("response_time", 3.001, n=20, detail="GET /")
    measure("disk", 0.1)
def test_below_go(measure): measure("response_time", 0.999, n=20)
def test_between(measure): measure("response_time", 1.0, n=20)
def test_too_few(measure): measure("response_time", 9.0, n=19)
def test_no_sample(measure): measure("response_time", 0.1, n=0)
def test_no_number(measure): measure("disk", float("nan"))
def test_decimal(measure): measure("disk", Decimal("0.5"))
def test_unknown_signal(measure): measure("no_such_signal", 1)
def test_text(measure): measure("disk", "0.5")
def test_truth(measure): measure("disk", True)
def test_own_signal(measure): measure("queue_length", 7)
def test_dry_run(measure): measure("queue_age", 100.0)

class Colour(StrEnum):
    RED = "red"
def test_odd_property(record_property):
    record_property("colour", Colour.RED)
    record_property("amount", Decimal("1.10"))
    record_property("nothing", object())

def test_options(environment): assert len(environment.options["key"].reveal()) > 9
'''

RULES = """
[[rules]]
signal = "queue_length"
unit = "count"
rollback = "> 6"
[[rules]]
signal = "queue_age"
unit = "seconds"
rollback = "> 10s"
dry_run = true
"""

_P, _W, _F = CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED
_E, _S, _N = CaseOutcome.ERROR, CaseOutcome.SKIPPED, CaseOutcome.NOT_APPLICABLE

EXPECTED = {
    "test_passes": (_P, ""),
    "test_fails": (_F, "three were sold"),
    "test_fails_without_a_word": (_F, "assert (1 + 1) == 3"),
    "test_breaks_in_the_call": (_F, "KeyError: 'no such key'"),
    "test_skipped": (_S, "no time"),
    "test_expected_to_fail": (_S, "expected to fail, so it proves nothing: known"),
    "test_unexpectedly_passes": (_W, "passed, though it is marked as expected to fail"),
    "test_not_applicable": (_N, "no [cache] in this environment"),
    "test_each[till]": (_P, ""),
    "test_each[shelf]": (_P, ""),
    "test_broken_fixture": (_E, "OSError: disk gone"),
    "test_fixture_sees_the_fault": (_F, "seen before the case"),
    "test_broken_teardown": (_E, "OSError: cannot clean up"),
    "test_fails_and_breaks": (_F, "failed first; OSError: cannot clean up"),
    "test_subtests": (_F, "one is wrong"),
    "test_skipped_subtest": (_S, "not this part"),
    "test_warns": (_W, "only just; old format"),
    "test_cannot_tell": (_W, "cannot tell: the index is silent"),
    "test_no_such_tool": (_W, "cannot tell: no-such-program is not installed"),
    "test_has_tool": (_P, ""),
    "test_at_the_limit": (_W, "response_time 3.00 s, wanted < 1 s (n = 20)"),
    "test_past_the_limit": (_F, "response_time 3.00 s > 3 s (n = 20, GET /)"),
    "test_below_go": (_P, ""),
    "test_between": (_W, "response_time 1.00 s, wanted < 1 s (n = 20)"),
    "test_too_few": (_W, "response_time 9.00 s, wanted n >= 20 (n = 19)"),
    "test_no_sample": (_W, "response_time 100 ms, wanted n >= 20 (n = 0)"),
    "test_no_number": (_W, "disk is no number, wanted < 70% (n = 1)"),
    "test_decimal": (_P, ""),
    "test_unknown_signal": (_E, "measure('no_such_signal'): no rule of that name"),
    "test_text": (_E, "measure('disk'): str is not a number"),
    "test_truth": (_E, "measure('disk'): bool is not a number"),
    "test_own_signal": (_F, "queue_length 7 > 6 (n = 1)"),
    "test_dry_run": (_P, ""),
    "test_odd_property": (_P, ""),
    "test_options": (_P, ""),
}


@pytest.fixture(scope="module", params=["serial", "xdist"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SuiteResult:
    """The same cases, in one process and in two workers of xdist: the record must be the same."""
    project = Project(tmp_path_factory.mktemp("outcomes")).configure(RULES).cases(CASES)
    if request.param == "xdist":
        ini = project.root / "pytest.ini"
        ini.write_text(ini.read_text().replace("--tb=native", "--tb=native -n 2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MADE_UP_KEY", SECRET)
        return project.run()


@pytest.mark.parametrize("name", EXPECTED)
def test_outcome_and_message(result: SuiteResult, name: str) -> None:
    outcome, message = EXPECTED[name]
    found = case(result, name)
    assert found.outcome is outcome
    assert found.message.startswith(message) if message else not found.message


def test_every_planned_case_is_recorded_once(result: SuiteResult) -> None:
    assert not result.broken
    assert not result.missing
    assert {case.id.partition("::")[2] for case in result.cases} == set(EXPECTED)
    assert len(result.planned) == len(result.cases) == len(EXPECTED)


def test_labels(result: SuiteResult) -> None:
    passes = case(result, "test_passes")
    assert (passes.category, passes.severity, passes.title) == ("Security", Severity.CRITICAL, "Does what it should")
    assert case(result, "test_fails").severity is Severity.MINOR
    assert case(result, "test_warns").severity is Severity.HIGH
    assert case(result, "test_each[till]").title == "each [till]"


def test_measurements_travel(result: SuiteResult) -> None:
    (figure,) = case(result, "test_past_the_limit").measurements
    assert (figure.signal, figure.value, figure.n, figure.limit) == ("response_time", 3.001, 20, "> 3 s")
    assert (figure.decision, figure.detail, figure.unit) == (Decision.ROLLBACK, "GET /", "seconds")
    (figure,) = case(result, "test_dry_run").measurements
    assert figure.decision is Decision.GO
    assert "would be ROLLBACK" in figure.detail


def test_not_being_able_to_tell_is_told_apart(result: SuiteResult) -> None:
    inconclusive = {item.id.partition("::")[2] for item in result.cases if item.inconclusive}
    assert inconclusive == {"test_cannot_tell", "test_no_such_tool", "test_no_sample"}


def test_a_failure_comes_with_the_case_s_own_frames(result: SuiteResult) -> None:
    details = case(result, "test_fails").details
    assert "three were sold" in details
    assert "test_made_up.py" in details
    assert str(Path(pytest.__file__).parents[1]) not in details  # pytest's own frames help nobody
