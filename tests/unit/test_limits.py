"""Limits: what people write, and on which side of it a value lies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.judging.limits import Limit, Rule, Unit, parse_duration, parse_size, show
from gate.results import Decision


@pytest.mark.parametrize(
    ("text", "unit", "value", "shown"),
    [
        ("> 5%", Unit.SHARE, 0.05, "> 5%"),
        (">0.05", Unit.SHARE, 0.05, "> 0.05"),
        ("<= 1s", Unit.SECONDS, 1.0, "<= 1 s"),
        ("< 250ms", Unit.SECONDS, 0.25, "< 250 ms"),
        (">= 2 m", Unit.SECONDS, 120.0, ">= 2 m"),
        ("> 2", Unit.COUNT, 2.0, "> 2"),
        ("== 0", Unit.COUNT, 0.0, "== 0"),
        ("> 512M", Unit.BYTES, 512 * 2**20, "> 512 M"),
        ("> 100%", Unit.SHARE, 1.0, "> 100%"),
    ],
)
def test_parse(text: str, unit: Unit, value: float, shown: str) -> None:
    limit = Limit.parse(text, unit)
    assert limit.value == pytest.approx(value)
    assert limit.text == shown


@pytest.mark.parametrize(
    ("text", "unit", "advice"),
    [
        ("5%", Unit.SHARE, "write an operator and a number, such as '> 5%'"),
        ("> five", Unit.COUNT, "write an operator and a number, such as '> 2'"),
        ("> -1", Unit.COUNT, "write an operator and a number"),
        ("> 5", Unit.SHARE, 'the signal is a share; write "> 5%" or "> 0.05"'),
        ("> 101%", Unit.SHARE, "the signal is a share"),
        ("> 3", Unit.SECONDS, "the signal is measured in seconds; write '> 3s'"),
        ("> 3%", Unit.SECONDS, "the signal is measured in seconds"),
        ("> 3s", Unit.COUNT, "the signal is measured in count; write '> 3'"),
        ("< 5", Unit.SECONDS, "'< 5': the signal is measured in seconds; write '< 5s'"),
        ("<= 250 MB", Unit.BYTES, "write '<= 250M'"),
        (">= 5x", Unit.SHARE, "write '>= 5%'"),
        ("!= 3", Unit.COUNT, "write an operator and a number"),
        ("", Unit.COUNT, "write an operator and a number"),
    ],
)
def test_parse_says_what_to_write(text: str, unit: Unit, advice: str) -> None:
    with pytest.raises(ValueError) as fault:  # noqa: PT011 - the text is checked below
        Limit.parse(text, unit)
    assert advice in str(fault.value)


@pytest.mark.parametrize(
    ("op", "below", "at", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        ("==", False, True, False),
    ],
)
def test_each_operator_at_its_limit_and_one_past(op: str, below: bool, at: bool, above: bool) -> None:
    limit = Limit.parse(f"{op} 3", Unit.COUNT)
    assert (limit.holds(2), limit.holds(3), limit.holds(4)) == (below, at, above)


def rule(min_n: int = 1, *, go: str | None = "< 1s", rollback: str | None = "> 3s") -> Rule:
    unit = Unit.SECONDS
    parsed = [Limit.parse(text, unit) if text else None for text in (go, rollback)]
    return Rule("response_time", unit, parsed[0], parsed[1], min_n)


@pytest.mark.parametrize(
    ("value", "n", "decision"),
    [
        (0.999, 20, Decision.GO),
        (1.0, 20, Decision.HOLD),
        (3.0, 20, Decision.HOLD),
        (3.001, 20, Decision.ROLLBACK),
        (3.001, 19, Decision.HOLD),
        (0.1, 19, Decision.HOLD),
        (math.nan, 20, Decision.HOLD),
        (math.inf, 20, Decision.HOLD),
        (-math.inf, 20, Decision.HOLD),
    ],
)
def test_decide(value: float, n: int, decision: Decision) -> None:
    assert rule(20).decide(value, n) is decision


def test_one_limit_alone() -> None:
    assert rule(go=None).decide(3.0, 1) is Decision.GO
    assert rule(go=None).decide(3.1, 1) is Decision.ROLLBACK
    assert rule(rollback=None).decide(99.0, 1) is Decision.HOLD
    assert rule(rollback=None).decide(0.5, 1) is Decision.GO


@given(st.floats(0, 100), st.floats(0, 100), st.integers(0, 50))
def test_a_larger_value_is_never_better(one: float, other: float, n: int) -> None:
    low, high = sorted((one, other))
    order = list(Decision)
    assert order.index(rule(20).decide(high, n)) >= order.index(rule(20).decide(low, n))


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30), ("2m", 120), ("1.5h", 5400), ("7d", 604800), ("0s", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["30", "30 sec", "s", "-1s", "1s2", "1M"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 2**29), ("2G", 2**31), ("1024", 1024), ("1.5K", 1536), ("1T", 2**40)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["512MB", "M", "-1", "1 s"])
def test_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (4.02, Unit.SECONDS, "4.02 s"),
        (0.083, Unit.SECONDS, "83 ms"),
        (0.19, Unit.SHARE, "19 %"),
        (0.0512, Unit.SHARE, "5.12 %"),
        (3, Unit.COUNT, "3"),
        (118 * 2**20, Unit.BYTES, "118.0 MB"),
        (12, Unit.BYTES, "12 B"),
    ],
)
def test_show(value: float, unit: Unit, shown: str) -> None:
    assert show(value, unit) == shown
