"""The decision record as JSON: the schema holds, nothing is lost on the way, no secret gets out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gate.errors import OperationFailed
from gate.redact import Redactor
from gate.report import document
from gate.report.html import render
from gate.report.record import DecisionRecord, LogTail, SuiteRecord
from gate.results import Case, CaseOutcome, Measurement, Outcome, Severity, SuiteResult
from tests.report import samples

Builder = Callable[[], DecisionRecord]
each_sample = pytest.mark.parametrize("build", samples.ALL.values(), ids=samples.ALL.keys())


def written(record: DecisionRecord, *secrets: str) -> dict[str, Any]:
    return document.to_json(record, Redactor(secrets))


def faults(made: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(document.schema())
    return [str(fault.message) for fault in validator.iter_errors(made)]


@each_sample
def test_a_sample_fits_the_schema_and_comes_back_whole(build: Builder) -> None:
    record = build()
    made = json.loads(json.dumps(written(record), allow_nan=False))
    assert faults(made) == []
    assert document.from_json(made) == record


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "no format": lambda d: d.pop("format"),
    "no outcome": lambda d: d.pop("outcome"),
    "unknown key": lambda d: d.update(surprise=1),
    "unknown status": lambda d: d["steps"][0].update(status="fine"),
    "unknown severity": lambda d: d["suites"][0]["cases"][0].update(severity="urgent"),
    "page is a script": lambda d: d["suites"][0].update(page="javascript:alert(1)"),
    "file elsewhere": lambda d: d["files"][0].update(name="../secrets.json"),
    "size is a word": lambda d: d["backup"].update(bytes="many"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_record_is_refused_by_schema_and_reader(spoil: Callable[[dict[str, Any]], object]) -> None:
    made = written(samples.released())
    spoil(made)
    assert faults(made)
    with pytest.raises(OperationFailed):
        document.from_json(made)


def test_a_record_of_another_format_says_which_one_is_read() -> None:
    with pytest.raises(OperationFailed, match=r"format 2; .* reads 1"):
        document.from_json({**written(samples.released()), "format": 2})


def test_the_exit_code_must_be_the_outcomes() -> None:
    with pytest.raises(ValueError, match="exit code 0"):
        replace(samples.refused(), exit_code=0)
    with pytest.raises(OperationFailed, match="exit code"):
        document.from_json({**written(samples.refused()), "exit_code": 0})


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(OperationFailed, match="started_at"):
        document.from_json({**written(samples.released()), "started_at": "2026-11-24T02:13:04"})


def test_a_value_that_is_no_number_is_null_and_comes_back() -> None:
    case = Case(
        "smoke/a.py::test_a",
        "Security",
        Severity.HIGH,
        CaseOutcome.WARNING,
        0.1,
        measurements=(Measurement("odd", math.nan), Measurement("endless", math.inf)),
    )
    record = replace(samples.released(), suites=(SuiteRecord("smoke", "front", 1, 0.1, (case,)),))
    made = written(record)
    assert [m["value"] for m in made["suites"][0]["cases"][0]["measurements"]] == [None, None]
    assert faults(made) == []
    back = document.from_json(made).suites[0].cases[0].measurements
    assert all(math.isnan(measurement.value) for measurement in back)
    assert "not measured" in render(made)


def test_a_secret_gets_out_nowhere() -> None:
    secret = "s3cr3t-p/ssw0rd"
    record = samples.rolled_back()

    def hiding(case: Case) -> Case:
        return replace(case, id=f"{case.id}[{secret}]", message=secret, details=secret)

    record = replace(
        record,
        command=f"deploy --token {secret}",
        changelog=f"uses {secret}",
        logs=LogTail("r1", (f"connecting with {secret}", "postgresql://u:hidden77@db/x")),
        versions={f"key {secret}": secret},
        notes=(secret,),
        steps=tuple(replace(step, detail=secret) for step in record.steps),
        reasons=tuple(replace(reason, text=secret) for reason in record.reasons),
        suites=tuple(
            replace(
                suite, cases=tuple(replace(case, id=f"{case.id}[{secret}]", details=secret) for case in suite.cases)
            )
            for suite in record.suites
        ),
    )
    made = written(record, secret)
    for text in (json.dumps(made), render(made)):
        assert "s3cr3t" not in text
        assert "hidden77" not in text
        assert "[redacted]" in text


def test_a_secret_that_is_a_word_of_ours_does_not_spoil_the_record() -> None:
    made = written(samples.refused(), "REFUSED", "passed", "critical", "release")
    assert document.from_json(made).outcome is Outcome.REFUSED


def test_text_that_is_no_unicode_can_still_be_written(tmp_path: Path) -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    made = written(replace(samples.released(), changelog=odd))
    document.write(made, tmp_path / "decision.json")
    assert document.read(tmp_path / "decision.json") == made
    assert "caf" in render(made)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "decision.json"
    document.write(written(samples.released()), file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        document.write({"bad": math.nan}, file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "decision.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OperationFailed, match=r"decision\.json"):
        document.read(file)


def test_a_suite_record_says_what_never_reported() -> None:
    case = Case("a", "Security", Severity.HIGH, CaseOutcome.PASSED, 0.1)
    made = SuiteRecord.of(SuiteResult("checks", ("a", "b"), (case,), 1.5, broken="crashed"), "checks", "checks.html")
    assert (made.planned, made.missing, made.broken, made.page) == (2, ("b",), "crashed", "checks.html")
