"""Values and sentences read as a person would write them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gate.report import wording
from gate.report.record import Switch, TrafficRecord
from gate.results import Measurement, Outcome, Reason
from tests.report import samples
from tests.report.shop import after


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 ms"),
        (0.0042, "4 ms"),
        (0.0996, "0.10 s"),
        (3.204, "3.20 s"),
        (9.999, "10.0 s"),
        (99.96, "1 min 40 s"),
        (3599.7, "1 h 0 min"),
        (3900.0, "1 h 5 min"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert wording.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1024, "1 KB"), (123_842_113, "118.1 MB"), (2**31, "2 GB")],
)
def test_size(value: float | None, text: str) -> None:
    assert wording.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (9412, "9,412"), (0.25, "0.25"), (1 / 3, "0.3333")])
def test_count(value: float | None, text: str) -> None:
    assert wording.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(1.84, "+1.8"), (-18.2, "−18.2"), (0.0, "+0.0")])
def test_change(value: float, text: str) -> None:
    assert wording.change(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (True, "yes"), (False, "no"), (41, "41"), (0.97, "0.97"), ("expand", "expand")]
)
def test_input(value: str | float | bool | None, text: str) -> None:
    assert wording.input_value(value) == text


@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        (Measurement("response_time", 4.02, "seconds"), "4.02 s"),
        (Measurement("error_rate", 0.19, "share"), "19 %"),
        (Measurement("fuel", 12.5, "litres"), "12.5 litres"),
        (Measurement("pages", 3), "3"),
        (Measurement("pages", float("nan")), "not measured"),
    ],
)
def test_measured(measurement: Measurement, text: str) -> None:
    assert wording.measured(measurement) == text


def test_a_reasons_value_has_the_unit_of_its_rule() -> None:
    record = samples.released()
    slow = replace(record.reasons[1], value=4.02)
    assert wording.reason_value(slow, record.rules) == "4.02 s"
    assert wording.reason_value(replace(slow, signal="own"), record.rules) == "4.02"
    assert wording.reason_value(Reason("x", record.reasons[0].decision, ""), record.rules) == "–"


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_words(outcome: Outcome) -> None:
    record = replace(samples.refused(), outcome=outcome, exit_code=outcome.exit_code)
    assert wording.TITLES[outcome]
    assert wording.TONES[outcome] in {"good", "warn", "bad", "calm"}
    for serving in (record.serving, None):
        sentence = wording.statement(replace(record, serving=serving))
        assert sentence.endswith(".")
        assert "None" not in sentence


def test_a_first_release_that_fails_leaves_nothing_and_says_so() -> None:
    record = replace(samples.rolled_back(), serving=None, stable_before=None, first_deployment=True)
    assert "nothing served before it and nothing serves now" in wording.statement(record)


def test_a_rollback_says_whether_and_how_long_users_reached_the_release() -> None:
    record = samples.rolled_back()
    there, back = Switch(after(15.0), "1.1.0+checkout-500s", "1.0.0"), Switch(after(19.5), "1.0.0", "1.1.0")
    assert "1.0.0 went on serving" in wording.statement(replace(record, traffic=TrafficRecord()))
    assert "served users for 4.50 s" in wording.statement(replace(record, traffic=TrafficRecord((there, back))))
    assert "served users until" in wording.statement(replace(record, traffic=TrafficRecord((back,))))


def test_a_rollback_that_was_asked_for_blames_nobody() -> None:
    assert wording.statement(replace(samples.rolled_back(), action="rollback")) == "1.0.0 serves again and was proven."
