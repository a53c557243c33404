"""A gap is tracked from the run that found it to the one that saw its case pass; silence never resolves one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gate.deployment.evidence import SuiteRun
from gate.deployment.run import Run
from gate.evidence import standing
from gate.evidence.standing import Standing
from gate.judging import gaps, readiness
from gate.judging.gaps import Gap, Ran, Tally
from gate.results import Case, CaseOutcome, Decision, Outcome, Severity, Verdict
from tests.evidence.runs import made_run
from tests.unit.suites import inconclusive, made_case, made_suite

PASSED, FAILED = CaseOutcome.PASSED, CaseOutcome.FAILED
CRITICAL, HIGH = Severity.CRITICAL, Severity.HIGH
AT = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


def ran(*cases: Case, missing: tuple[str, ...] = (), stopped: str = "", broken: str = "", strict: bool = True) -> Ran:
    return Ran(made_suite(*cases, missing=missing, stopped=stopped, broken=broken), ("checks",), strict)


def opened(name: str) -> Gap:
    (seen,) = gaps.changes((), [ran(made_case(name, FAILED))]).opened
    return Gap(seen, 1, "then", 1)


@pytest.mark.parametrize(
    "case",
    [made_case("checks/a", outcome) for outcome in (FAILED, CaseOutcome.ERROR, CaseOutcome.SKIPPED)]
    + [inconclusive("checks/a")],
)
def test_what_did_not_pass_is_a_gap(case: Case) -> None:
    found = gaps.changes((), [ran(case)])
    assert [seen.case for seen in found.opened] == ["checks/a"]
    assert gaps.changes([Gap(found.opened[0], 1, "then", 1)], [ran(case)]).still[0][0].opened_in == 1


def test_a_check_that_never_reported_is_a_critical_one_and_a_smoke_test_that_was_not_needed_is_none() -> None:
    (seen,) = gaps.changes((), [ran(missing=("checks/a",))]).opened
    assert (seen.severity, seen.message) == (CRITICAL, "never reported")
    assert gaps.changes((), [ran(missing=("smoke/a",), stopped="decided", strict=False)]).opened == ()


@pytest.mark.parametrize("outcome", [PASSED, CaseOutcome.WARNING, CaseOutcome.NOT_APPLICABLE])
def test_only_a_run_of_the_case_resolves_it(outcome: CaseOutcome) -> None:
    assert gaps.changes([opened("checks/a")], [ran(made_case("checks/a", outcome))]).resolved


def test_the_worse_of_two_runs_counts() -> None:
    both = [ran(made_case("smoke/a")), ran(made_case("smoke/a", FAILED))]
    assert gaps.changes([opened("smoke/a")], both).resolved == ()
    assert gaps.changes([opened("smoke/a")], both).still


@pytest.mark.parametrize(
    ("suite", "gone"),
    [
        (ran(made_case("checks/b")), True),
        (ran(made_case("checks/b"), missing=("checks/c",)), False),
        (ran(made_case("checks/b"), broken="it crashed"), False),
        (ran(made_case("checks/b"), stopped="decided"), False),
        (Ran(made_suite(made_case("smoke/b")), ("smoke",), False), False),
    ],
)
def test_only_a_whole_suite_without_the_case_makes_it_gone(suite: Ran, gone: bool) -> None:
    found = gaps.changes([opened("checks/a")], [suite])
    assert (len(found.gone), found.resolved, found.still) == (int(gone), (), ())


class Story:
    """Runs in one folder, each with the records that the one before left."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run: Run

    def go(self, *cases: Case, outcome: Outcome, action: str = "deploy", version: str = "1.0.0") -> Standing:
        self.run = made_run(self.root, action=action, version=version)
        result = made_suite(*cases)
        self.run.evidence.suites.append(SuiteRun("checks", result, Verdict(Decision.GO), AT))
        self.run.evidence.readiness = readiness.assess(result, {})
        self.run.store.end(self.run.deployment, outcome, [], cases=1, checks=len(cases), report=None)
        found = standing.track(self.run)
        assert found is not None
        return found


def names(found: tuple[Gap, ...]) -> list[str]:
    return [gap.seen.case for gap in found]


def test_gaps_and_readiness_beside_the_last_release(tmp_path: Path) -> None:
    story = Story(tmp_path)
    bad = [made_case(f"checks/{name}", FAILED, CRITICAL) for name in "ab"]
    first = story.go(*bad, made_case("checks/c"), outcome=Outcome.REFUSED)
    assert (first.release, first.before, names(first.new), first.still) == (None, None, ["checks/a", "checks/b"], ())

    half = [made_case("checks/a", severity=CRITICAL), bad[1], made_case("checks/c")]
    released = story.go(*half, outcome=Outcome.RELEASED)
    assert names(released.resolved) == ["checks/a"]
    assert released.tally == {CRITICAL: Tally(1, 2)}

    planned = story.go(
        *half[:2], made_case("checks/c", FAILED), outcome=Outcome.PLANNED, action="plan", version="1.1.0"
    )
    assert (planned.release, names(planned.new), names(planned.still)) == ("1.0.0", ["checks/c"], ["checks/b"])
    assert planned.resolved == ()  # nothing since that release

    well = [made_case(f"checks/{name}", severity=CRITICAL) for name in "abc"]
    done = story.go(*well, outcome=Outcome.RELEASED, version="1.1.0")
    assert (done.new, done.still, names(done.resolved)) == ((), (), ["checks/b", "checks/c"])
    assert gaps.told(done.tally) == "critical 2/2 resolved · high 1/1 resolved"
    assert done.before is not None
    assert done.before.categories == {"Security": pytest.approx(100 * 8 / 13)}
    scored = story.run.evidence.readiness
    assert scored is not None
    told = standing.lines(done, {"Security": 100.0}, scored.total)
    assert told[0] == "readiness since 1.0.0: 62 → 100 (Security 62 → 100)"
    assert told[2].startswith("  resolved  critical  Security: checks/b, since deployment 1")


def test_a_gap_that_comes_back_is_open_again(tmp_path: Path) -> None:
    story, bad, well = Story(tmp_path), made_case("checks/a", FAILED), made_case("checks/a")
    for case in (bad, well):
        story.go(case, outcome=Outcome.RELEASED)
    assert story.go(well, outcome=Outcome.RELEASED).tally == {HIGH: Tally(1, 1)}
    again = story.go(bad, outcome=Outcome.REFUSED)
    assert again.tally == {HIGH: Tally(0, 1)}
    assert names(again.new) == ["checks/a"]


def test_what_did_not_run_stays_open_and_is_told_as_that(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.go(made_case("smoke/a", FAILED), outcome=Outcome.ROLLED_BACK)
    found = story.go(made_case("checks/b"), outcome=Outcome.PLANNED, action="plan")
    assert found.unseen == {"smoke/a"}
    assert "not run this time" in standing.lines(found, {}, None)[-1]


def test_a_rollback_judges_no_release(tmp_path: Path) -> None:
    assert standing.track(made_run(tmp_path, action="rollback")) is None
