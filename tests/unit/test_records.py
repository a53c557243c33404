"""A record on its way: figures and their sentences, event lines, and JUnit."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.judging.measurements import judged, nothing_measured, sentence
from gate.judging.rules import DEFAULTS
from gate.redact import Redactor
from gate.results import Attempt, Case, CaseOutcome, Decision, Measurement, Severity
from gate.suites import events, junit
from gate.suites.events import Broken, Finished, Label, Planned, Started
from tests.unit.suites import made_case, made_suite

RULES = {rule.signal: rule for rule in DEFAULTS}


@pytest.mark.parametrize(
    ("signal", "value", "n", "detail", "text"),
    [
        ("response_time", 4.02, 24, "POST /sales", "response_time 4.02 s > 3 s (n = 24, POST /sales)"),
        ("response_time", 1.5, 24, "", "response_time 1.50 s, wanted < 1 s (n = 24)"),
        ("response_time", 0.083, 24, "", "response_time 83 ms, within < 1 s (n = 24)"),
        ("response_time", 4.02, 5, "", "response_time 4.02 s, wanted n >= 20 (n = 5)"),
        ("disk", 0.95, 1, "", "disk 95 % > 90% (n = 1)"),
        ("log_errors", 3, 1, "", "log_errors 3 > 0 (n = 1)"),
        ("disk", math.nan, 1, "", "disk is no number, wanted < 70% (n = 1)"),
        ("disk", 0.1, 0, "", "disk 10 %, wanted n >= 1 (n = 0)"),
    ],
)
def test_sentences(signal: str, value: float, n: int, detail: str, text: str) -> None:
    assert sentence(judged(RULES[signal], value, n, detail)) == text


def test_from_no_sample_is_never_go() -> None:
    for rule in DEFAULTS:
        assert judged(rule, 0.0, 0).decision is Decision.HOLD
    assert nothing_measured("why").decision is Decision.HOLD


TEXT = st.text(max_size=20)
FIGURES = st.builds(
    Measurement, TEXT, st.floats(allow_nan=False), TEXT, st.integers(0, 9), TEXT, st.sampled_from(Decision), TEXT
)
OUTCOMES = st.sampled_from(CaseOutcome)
SEVERITIES = st.sampled_from(Severity)
SEVERAL = st.lists(FIGURES, max_size=2).map(tuple)
ATTEMPTS = st.builds(Attempt, OUTCOMES, st.floats(0, 9), TEXT, TEXT, SEVERAL)
CASES = st.builds(
    Case,
    *(TEXT, TEXT, SEVERITIES, OUTCOMES, st.floats(0, 9), TEXT, TEXT, TEXT, SEVERAL),
    *(st.booleans(), st.booleans(), TEXT, st.lists(ATTEMPTS, max_size=2).map(tuple)),
)
LABELS = st.dictionaries(TEXT, st.builds(Label, TEXT, SEVERITIES, TEXT, st.booleans()), max_size=2)
EVENTS = st.one_of(
    CASES,
    st.builds(Planned, st.lists(TEXT, max_size=3).map(tuple), LABELS),
    st.builds(Started, TEXT),
    st.builds(Broken, TEXT),
    st.builds(Finished, st.integers(0, 5)),
)


@given(EVENTS)
def test_an_event_survives_its_line(event: events.Event) -> None:
    line = events.to_line(event, Redactor())
    assert "\n" not in line
    assert events.from_line(line) == event


def test_a_severity_nobody_knows_is_critical() -> None:
    line = events.to_line(made_case("a", severity=Severity.MINOR), Redactor()).replace('"minor"', '"trivial"')
    case = events.from_line(line)
    assert isinstance(case, Case)
    assert case.severity is Severity.CRITICAL


def test_lines_hold_no_secret() -> None:
    line = events.to_line(made_case("a", message="key is some-secret"), Redactor(["some-secret"]))
    assert "some-secret" not in line


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"event": "other"}', '{"event": "case"}', "not json"])
def test_what_is_no_event(line: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        events.from_line(line)


def test_junit_counts_what_the_record_counts() -> None:
    outcomes = [CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED, CaseOutcome.ERROR, CaseOutcome.SKIPPED]
    cases = [made_case(f"checks/test_a.py::test_{name}", name, message="why") for name in outcomes]
    suite = parsed(junit.of(made_suite(*cases, missing=["checks/test_a.py::test_gone"], broken="crashed")))
    assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["7", "1", "3", "1"]
    first = suite.find("testcase")
    assert first is not None
    assert (first.get("classname"), first.get("name")) == ("checks.test_a", "test_passed")


def test_junit_of_a_run_ended_on_a_decision() -> None:
    suite = parsed(junit.of(made_suite(made_case("a"), missing=["b"], stopped="3 > 2 failed")))
    assert (suite.get("errors"), suite.get("skipped")) == ("0", "1")


@given(TEXT, TEXT)
def test_any_text_makes_good_xml(message: str, name: str) -> None:
    suite = parsed(junit.of(made_suite(made_case(name or "x", CaseOutcome.FAILED, message=f"{message}\x00\x1b"))))
    assert suite.get("failures") == "1"


def parsed(document: str) -> ElementTree.Element:
    suite = ElementTree.fromstring(document).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    return suite
