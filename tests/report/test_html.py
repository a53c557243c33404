"""The page: everything of the record is on it, it loads nothing, and nothing in it comes alive."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from gate.errors import OperationFailed
from gate.judging.measurements import nothing_measured
from gate.report import views, wording
from gate.report.html import render
from gate.report.record import DecisionRecord, PhaseVerdict, SuiteRecord, TrafficRecord
from gate.results import Case, CaseOutcome, Decision, Outcome, Reason, Severity
from tests.report import hostile, samples
from tests.report.page import html_of, page_of, parsed
from tests.report.shop import START

Builder = Callable[[], DecisionRecord]
each_sample = pytest.mark.parametrize("build", samples.ALL.values(), ids=samples.ALL.keys())


def words(text: str) -> str:
    return " ".join(text.split())


@each_sample
def test_every_reason_step_and_gap_is_told(build: Builder) -> None:
    record, text = build(), page_of(build()).text
    expected = [reason.text for reason in record.reasons]
    expected += [reason.text for verdict in record.verdicts for reason in verdict.reasons]
    expected += [step.detail for step in record.steps]
    expected += [step.undo.detail for step in record.steps if step.undo]
    expected += [gap.message for gap in record.readiness.gaps] if record.readiness else []
    expected += [text for suite in record.suites for case in suite.cases for text in (case.message, case.confirmation)]
    expected += list(record.notes)
    expected += [record.command, record.next_step, record.by.user, record.environment, f"exit code {record.exit_code}"]
    for sentence in expected:
        assert words(sentence) in text


@each_sample
def test_the_figures_are_on_the_page(build: Builder) -> None:
    record, text = build(), page_of(build()).text
    expected = [f"{row.score:.1f}" for row in record.readiness.categories if row.score] if record.readiness else []
    expected += [f"{record.readiness.total:.1f} of 100"] if record.readiness else []
    expected += [f"n = {reason.n}" for reason in record.reasons if reason.n and wording.says_more(reason)]
    expected += ["118.1 MB", "482,113 rows", "14 tables", record.backup.sha256] if record.backup else []
    expected += [release.digest for release in (record.release, record.stable_before, record.serving) if release]
    expected += (
        [f"{revision.id} {revision.title}" for revision in record.migrations.revisions] if record.migrations else []
    )
    expected += list(record.logs.lines) if record.logs else []
    expected += [value for pair in record.versions.items() for value in pair]
    expected += [file.sha256 for file in record.files]
    for figure in expected:
        assert words(figure) in text


@each_sample
def test_page_and_record_count_the_same_cases(build: Builder) -> None:
    record, page = build(), page_of(build())
    wanted = Counter("flaky" if case.flaky else str(case.outcome) for suite in record.suites for case in suite.cases)
    wanted[views.NOT_RUN] += sum(len(suite.missing) for suite in record.suites)
    assert Counter(row.attributes["data-outcome"] for row in page.rows()) == +wanted
    buttons = {b.attributes["data-outcome"]: b.text for b in page.all("button") if "data-outcome" in b.attributes}
    assert buttons.pop("") == f"all {wanted.total()}"
    assert {name: int(text.split()[-1]) for name, text in buttons.items()} == dict(+wanted)


def test_failures_come_first_and_say_why() -> None:
    first, second, *_ = page_of(samples.rolled_back()).rows()
    assert first.attributes["data-outcome"] == "failed"
    assert "sale 3 of 10 answered 500" in first.text
    assert "AssertionError: sale 3: 500" in first.text
    assert "sale_failures 30 % == 0%" in words(first.text)
    assert second.attributes["data-outcome"] == views.NOT_RUN


def test_a_manager_reads_outcome_truth_and_reason_first() -> None:
    text = page_of(samples.rolled_back()).text
    order = [
        "Rolled back",
        "1.1.0+checkout-500s",
        "1.0.0 went on serving and was proven again; no user reached 1.1.0+checkout-500s",
        "critical: Cart, sale, receipt",
        "python deploy_gate.py production history 43",
        "From decision to end 3.60 s",
        "Steps Step What happened",
    ]
    places = [text.find(sentence) for sentence in order]
    assert -1 not in places
    assert places == sorted(places)


def test_a_failed_rollback_says_whom_to_call_before_anything_else() -> None:
    text = page_of(samples.rollback_failed()).text
    assert text.index("Call primary") < text.index("Steps")
    assert "could not be taken back in 5.00 s: lock timeout on table receipts" in text
    assert "serving at the end not known" in text


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_page(outcome: Outcome) -> None:
    record = replace(samples.refused(), outcome=outcome, exit_code=outcome.exit_code)
    for serving in (record.serving, None):
        assert page_of(replace(record, serving=serving)).all("h1")


def test_a_record_with_nothing_in_it_has_a_page() -> None:
    record = replace(
        samples.refused(),
        outcome=Outcome.LOCKED,
        exit_code=5,
        release=None,
        stable_before=None,
        serving=None,
        reasons=(),
        steps=(),
        verdicts=(),
        rules=(),
        readiness=None,
        suites=(),
        contacts={},
        versions={},
        files=(),
        changelog="",
        decided_at=None,
        ended_at=START,
    )
    assert "No reason was recorded" in page_of(record).text


def test_a_document_that_is_no_record_is_refused() -> None:
    with pytest.raises(OperationFailed):
        render({"format": 1})


@each_sample
def test_the_page_loads_nothing(build: Builder) -> None:
    html, page = html_of(build()), page_of(build())
    assert not re.search(r"(?:src|srcset|poster|action)\s*=", html.partition("<script>")[0])
    assert "@import" not in html
    assert "url(" not in html
    assert [e.attributes["href"] for e in page.all("link")] == ["data:,"]
    for anchor in page.all("a"):
        assert re.fullmatch(r"#[a-z]+|[A-Za-z0-9][A-Za-z0-9._-]*", anchor.attributes["href"])
    ids = {e.attributes["id"] for e in page.elements if "id" in e.attributes}
    assert {a.attributes["href"][1:] for a in page.all("a") if a.attributes["href"].startswith("#")} <= ids


def test_only_our_own_script_may_run() -> None:
    page = page_of(samples.released())
    (script,) = page.all("script")
    policy = next(e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes)
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_what_others_wrote_stays_text() -> None:
    page = parsed(render(hostile.record()))
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert all(not name.startswith("on") for e in page.elements for name in e.attributes)
    assert page.text.count("ran()") > 200
    assert "49" not in page.text.partition("ran()")[2][:40]  # {{7*7}} is no template either


def test_the_texts_of_pictures_are_escaped_too() -> None:
    page = parsed(render(hostile.record()))
    labels = [e.attributes["aria-label"] for e in page.all("svg") if "aria-label" in e.attributes]
    assert labels
    assert sum("<script>" in label for label in labels) == 2  # those of charts that are named after a service


def test_terminal_colours_and_control_characters_are_left_out() -> None:
    record = replace(samples.released(), changelog="\x1b[31mred\x1b[0m\x00 bell\x07")
    assert "red bell" in page_of(record).text
    assert "\x1b" not in html_of(record)


def many(outcome: CaseOutcome, number: int, details: str = "") -> DecisionRecord:
    cases = tuple(
        Case(f"smoke/m.py::test_{index}", "Security", Severity.HIGH, outcome, 0.01, details=details)
        for index in range(number)
    )
    return replace(samples.released(), suites=(SuiteRecord("smoke", "front", number, 1.0, cases),))


def test_of_very_many_cases_all_are_there_and_the_first_are_shown() -> None:
    rows = page_of(many(CaseOutcome.PASSED, 1000)).rows()
    assert len(rows) == 1000
    assert [row.attributes.get("class") for row in rows] == ["on"] * 200 + [None] * 800


def test_details_are_bounded_and_say_so() -> None:
    page = page_of(many(CaseOutcome.FAILED, 250, "x" * 30_000))
    details = page.all("pre", "details")
    assert len(details) == views.DETAILS_SHOWN
    assert all("10,000 characters left out, see decision.json" in element.text for element in details)
    assert "Details of the first 200" in page.text


def test_two_runs_of_a_suite_are_told_apart() -> None:
    record = samples.released()
    suites = tuple(replace(suite, name="smoke") for suite in record.suites[1:])
    options = [option.text for option in page_of(replace(record, suites=suites)).all("option")]
    assert options == ["every suite", "smoke candidate", "smoke front"]


def test_the_same_record_makes_the_same_page() -> None:
    assert html_of(samples.released()) == html_of(samples.released())


def test_details_that_only_repeat_the_message_are_not_offered() -> None:
    case = Case("a", "Security", Severity.HIGH, CaseOutcome.FAILED, 0.1, message="cpu 100 %", details="cpu 100 %\n")
    page = page_of(replace(samples.released(), suites=(SuiteRecord("smoke", "front", 1, 0.1, (case,)),)))
    assert page.all("details") == []


def test_what_does_not_apply_is_not_counted_against_a_release() -> None:
    outcomes = (CaseOutcome.PASSED, CaseOutcome.NOT_APPLICABLE)
    cases = tuple(Case(str(outcome), "Security", Severity.HIGH, outcome, 0.1) for outcome in outcomes)
    page = page_of(replace(samples.released(), suites=(SuiteRecord("smoke", "front", 2, 0.1, cases),)))
    assert "Cases passed 1 of 1" in page.text


def test_cases_are_counted_as_the_verdict_counts_them() -> None:
    reserved = Case("a", "Security", Severity.HIGH, CaseOutcome.WARNING, 0.1)
    blind = replace(reserved, id="b", measurements=(nothing_measured("no tool"),))
    suite = SuiteRecord("smoke", "front", 3, 0.1, (reserved, blind), missing=("c",))
    tiles = {tile.name: tile for tile in views.tiles(replace(samples.released(), suites=(suite,)), 1.0)}
    tile = tiles["Cases passed"]
    assert (tile.value, tile.note) == ("1 of 3", "1 not run · 1 could not tell · 1 with a reservation")


def test_traffic_that_never_moved_has_no_section() -> None:
    page = page_of(replace(samples.refused(), traffic=TrafficRecord()))
    assert all(e.attributes.get("id") != "traffic" for e in page.all("section"))


def test_a_release_without_a_fault_says_what_each_suite_said() -> None:
    verdicts = tuple(
        PhaseVerdict(phase, Decision.GO, (Reason("coverage", Decision.GO, "32 of 32 cases passed", 32, "", 32),), START)
        for phase in ("checks", "candidate")
    )
    text = page_of(replace(samples.released(), reasons=(), verdicts=verdicts)).text
    assert "No reason was recorded" not in text
    assert text.index("checks: 32 of 32 cases passed") < text.index("candidate: 32 of 32") < text.index("Steps Step")


def test_a_failed_case_that_was_let_through_is_told_at_the_top() -> None:
    case = Case("a.py::t", "Security", Severity.MINOR, CaseOutcome.FAILED, 0.1, "Pages are short", "page 9 is long")
    suites = (SuiteRecord("checks", "checks", 1, 0.1, (case,)),)
    text = page_of(replace(samples.released(), reasons=(), suites=suites)).text
    assert text.index("let through: Pages are short: page 9 is long") < text.index("Steps Step")
    assert "1 more reason " in text


def test_that_one_case_failed_is_not_told_twice() -> None:
    record = samples.rolled_back()
    assert "smoke_failures 1 · limit" not in page_of(record).text
    more = replace(record, reasons=(replace(record.reasons[0], value=3),))
    assert "smoke_failures 3 · limit == 0 · n = 6" in page_of(more).text


def test_columns_without_a_single_value_are_left_out() -> None:
    record = samples.released()
    assert record.traffic is not None
    bare = tuple(
        replace(item, attempted=None, failed=None, longest_gap_ms=None, milliseconds=1.4)
        for item in record.traffic.switches
    )
    times = tuple(replace(row, p50=None, histogram=None) for row in record.response_times)
    full = page_of(record)
    page = page_of(replace(record, traffic=replace(record.traffic, switches=bare), response_times=times))
    headings = ("Requests", "Failed", "Longest gap", "p50")
    assert {head.text for head in full.all("th")} >= set(headings)
    assert not {head.text for head in page.all("th")} & set(headings)
    assert {key.text for key in page.all("span", "performance")} & {"p50", "requests"} == set()
    assert {key.text for key in full.all("span", "performance")} >= {"p50", "requests", "p95"}
    assert "p95" in {head.text for head in page.all("th")}
