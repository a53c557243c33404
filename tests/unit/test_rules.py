"""The default rules, at each limit and one past it, and the rows of an environment that replace them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gate.judging.limits import Statistic, Unit
from gate.judging.rules import DEFAULTS, SIGNALS, build
from gate.live.judge import Judge
from gate.live.observations import Requests, Role, TrafficStep
from gate.results import Decision, Severity

GO, HOLD, ROLLBACK = Decision.GO, Decision.HOLD, Decision.ROLLBACK


@dataclass
class Row:
    signal: str
    go: str | None = None
    rollback: str | None = None
    unit: Unit | None = None
    min_n: int = 1
    severity: Severity = Severity.HIGH
    dry_run: bool = False
    statistic: Statistic | None = None


@pytest.mark.parametrize(
    ("signal", "value", "n", "decision"),
    [
        ("smoke_failures", 0, 1, GO),
        ("smoke_failures", 1, 1, HOLD),
        ("smoke_failures", 2, 1, HOLD),
        ("smoke_failures", 3, 1, ROLLBACK),
        ("checker_errors", 0, 1, GO),
        ("checker_errors", 3, 1, HOLD),
        ("checker_errors", 4, 1, ROLLBACK),
        ("response_time", 0.999, 20, GO),
        ("response_time", 1.0, 20, HOLD),
        ("response_time", 3.0, 20, HOLD),
        ("response_time", 3.001, 20, ROLLBACK),
        ("response_time", 3.001, 19, HOLD),
        *(
            (signal, value, 3, decision)
            for signal in ("cpu", "memory")
            for value, decision in ((0.699, GO), (0.7, HOLD), (0.9, HOLD), (0.901, ROLLBACK))
        ),
        ("cpu", 0.99, 2, HOLD),
        ("memory", 0.1, 2, HOLD),
        ("disk", 0.699, 1, GO),
        ("disk", 0.7, 1, HOLD),
        ("disk", 0.9, 1, HOLD),
        ("disk", 0.901, 1, ROLLBACK),
        ("log_errors", 0, 1, GO),
        ("log_errors", 1, 1, ROLLBACK),
    ],
)
def test_default_rules(signal: str, value: float, n: int, decision: Decision) -> None:
    (rule,) = [rule for rule in DEFAULTS if rule.signal == signal]
    assert rule.decide(value, n) is decision


def test_every_known_signal_has_a_default_rule() -> None:
    assert {rule.signal for rule in DEFAULTS} == set(SIGNALS)


def test_a_row_replaces_its_default_and_only_that() -> None:
    rules, problems = build([Row("disk", rollback="> 95%", severity=Severity.CRITICAL)])
    assert not problems
    (disk,) = [rule for rule in rules if rule.signal == "disk"]
    assert (disk.go, disk.severity) == (None, Severity.CRITICAL)
    assert disk.decide(0.95, 1) is GO
    assert disk.decide(0.951, 1) is ROLLBACK
    assert [rule for rule in rules if rule.signal != "disk"] == [rule for rule in DEFAULTS if rule.signal != "disk"]


def test_a_signal_of_one_s_own() -> None:
    rules, problems = build([Row("queue", go="< 10", rollback="> 100", unit=Unit.COUNT)])
    assert not problems
    assert rules[-1].decide(50, 1) is HOLD


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (Row("queue", go="< 10"), "[rules.0] signal = 'queue': unknown; known are smoke_failures, "),
        (Row("disk", unit=Unit.SECONDS, go="< 1s"), "[rules.0] unit = 'seconds': disk is measured in share"),
        (Row("disk"), "[rules.0] disk: needs go, rollback or both"),
        (Row("disk", rollback="> 5"), "[rules.0] rollback = '> 5': the signal is a share; write \"> 5%\""),
        (Row("disk", go="< 90%", rollback="> 80%"), "can both hold; no value may be both"),
        (Row("disk", go="<= 80%", rollback=">= 80%"), "can both hold"),
        (Row("disk", go="== 80%", rollback="> 10%"), "can both hold"),
        (Row("disk", go="> 10%", rollback="> 80%"), "can both hold"),
        (Row("smoke_failures", go="== 2.5"), "no value of a count can be that"),
    ],
)
def test_what_is_wrong_with_a_row(row: Row, problem: str) -> None:
    _, problems = build([row])
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize(("go", "rollback"), [("< 80%", ">= 80%"), ("<= 80%", "> 80%"), ("== 0%", "> 0%")])
def test_limits_that_touch_do_not_overlap(go: str, rollback: str) -> None:
    assert build([Row("disk", go=go, rollback=rollback)])[1] == []


def test_two_rows_for_one_signal() -> None:
    _, problems = build([Row("disk", go="< 50%"), Row("cpu", go="< 50%"), Row("disk", go="< 90%")])
    assert problems == ["[rules.2] signal = 'disk': has a row already; one row for one signal"]


def test_usage_may_pass_its_limit() -> None:
    assert build([Row("cpu", rollback="> 100%"), Row("memory", rollback="> 100%")])[1] == []


def test_of_a_signal_of_ones_own_more_may_be_better() -> None:
    assert build([Row("cache_hits", go="> 50%", rollback="< 10%", unit=Unit.SHARE)])[1] == []


@pytest.mark.parametrize(
    ("row", "key"),
    [
        (Row("error_rate", go=">= 2%"), "go"),
        (Row("error_rate", rollback="< 1%"), "rollback"),
        (Row("services_lost", rollback="== 1"), "rollback"),
        (Row("disk", rollback="== 95%"), "rollback"),
        (Row("error_rate", go="== 0%"), "go"),
        (Row("error_rate", go="<= 0%"), "go"),
        (Row("error_rate", rollback="> 0%"), "rollback"),
        (Row("error_rate", rollback="> 95%"), "rollback"),
        (Row("log_error_rate", go="== 0%", rollback="> 0%"), "go"),
        (Row("gone_rate", rollback="> 90%"), "rollback"),
        (Row("slower_than_stable", rollback="> 99%"), "rollback"),
    ],
)
def test_what_no_test_can_be_made_of(row: Row, key: str) -> None:
    _, problems = build([row])
    assert len(problems) == 1
    assert problems[0].startswith(f"[rules.0] {key} = ")


@pytest.mark.parametrize("signal", ["error_rate", "gone_rate", "slower_than_stable", "log_error_rate"])
@pytest.mark.parametrize("text", ["> 0.5%", "> 1%", "> 50%", "> 89%"])
def test_every_rule_that_is_accepted_can_judge(signal: str, text: str) -> None:
    rules, problems = build([Row(signal, rollback=text)])
    assert problems == []
    judge = Judge(rules)
    judge.take(TrafficStep(0.0, 0.5, 30.0))
    judge.take(Requests(0.1, Role.CANDIDATE, "GET /", 10, 10))
    judge.standing(0.1)


def test_a_share_may_be_compared_as_it_stands_at_any_limit() -> None:
    rules, problems = build([Row("error_rate", go="== 0%", rollback="> 0%", statistic=Statistic.SHARE)])
    assert problems == []
    Judge(rules)


def test_all_faults_are_told_with_their_row() -> None:
    _, problems = build([Row("disk", go="5"), Row("cpu", go="< 1%"), Row("moon", go="< 1")])
    assert [problem.split("]")[0] for problem in problems] == ["[rules.0", "[rules.2"]
