"""A flaky case on the page and in the document: as what it is, with its first failure."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import jsonschema
import pytest

from gate.redact import Redactor
from gate.report import document
from gate.report.record import DecisionRecord
from gate.results import Attempt, Case, CaseOutcome, Category, Decision, Measurement, Severity
from tests.report import samples
from tests.report.page import page_of

FIRST = Attempt(
    CaseOutcome.FAILED,
    1.25,
    "response_time 4.02 s > 3 s (n = 24)",
    "Traceback: the first time",
    (Measurement("response_time", 4.02, "seconds", 24, "> 3 s", Decision.ROLLBACK),),
)
SECOND = Attempt(
    CaseOutcome.PASSED, 0.31, measurements=(Measurement("response_time", 0.08, "seconds", 24, "< 1 s", Decision.GO),)
)
FLAKY = Case(
    "smoke/test_a.py::test_flaky",
    str(Category.CORE_FLOWS),
    Severity.CRITICAL,
    CaseOutcome.PASSED,
    0.31,
    "Sales are quick",
    measurements=SECOND.measurements,
    flaky=True,
    confirmation="failed first: response_time 4.02 s > 3 s (n = 24); passed when it was run once more",
    attempts=(FIRST, SECOND),
)


def with_case(case: Case) -> DecisionRecord:
    base = samples.released()
    front = base.suites[-1]
    return replace(base, suites=(*base.suites[:-1], replace(front, cases=(case, *front.cases))))


def test_it_is_shown_as_flaky_with_both_its_runs() -> None:
    page = page_of(with_case(FLAKY))
    (row,) = [row for row in page.rows() if row.attributes["data-outcome"] == "flaky"]
    for text in (
        FLAKY.confirmation,
        "run 1: failed after 1.25 s, response_time 4.02 s > 3 s",
        "run 2: passed after 0.31 s, response_time 80 ms < 1 s",
        "Traceback: the first time",
    ):
        assert text in row.text, row.text
    assert "1 flaky" in page.text


def test_a_failure_that_stands_shows_both_its_runs() -> None:
    stands = replace(
        FLAKY,
        flaky=False,
        outcome=CaseOutcome.FAILED,
        message=FIRST.message,
        details=FIRST.details,
        confirmation="failed again: response_time 5.00 s > 3 s (n = 24)",
        attempts=(FIRST, FIRST),
    )
    row = page_of(with_case(stands)).rows()[0]
    assert row.attributes["data-outcome"] == "failed"
    for text in (stands.message, stands.confirmation, "run 2: failed"):
        assert text in row.text


@pytest.mark.parametrize("value", [4.02, math.nan])
def test_it_survives_the_document(value: float) -> None:
    first = replace(FIRST, measurements=(replace(FIRST.measurements[0], value=value),))
    written = document.to_json(with_case(replace(FLAKY, attempts=(first, SECOND))), Redactor())
    jsonschema.validate(json.loads(json.dumps(written)), document.schema())
    found = document.from_json(written).suites[-1].cases[0]
    assert repr(found) == repr(replace(FLAKY, attempts=(first, SECOND)))


def test_a_document_from_before_is_read() -> None:
    """Records written before cases were confirmed have none of the new fields."""
    record = samples.released()
    written = document.to_json(record, Redactor())
    for suite in written["suites"]:
        for case in suite["cases"]:
            for name in ("corruption", "flaky", "confirmation", "attempts"):
                del case[name]
    jsonschema.validate(json.loads(json.dumps(written)), document.schema())
    assert document.from_json(written).suites == record.suites
