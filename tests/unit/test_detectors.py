"""The rules the benchmark compares: the gate's as it is, the others as their tools count; and recorded traffic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import detection, requests_needed
from benchmarks.detectors import (
    ALPHA,
    BEFORE,
    DEFAULT,
    OURS,
    RULES,
    SECOND,
    Step,
    Trace,
    argo,
    fixed_window,
    flagger,
    recorded,
    simulate,
)
from gate.judging.detection import FLOOR, Stream
from gate.live.judge import Judge
from gate.live.observations import Observation, Requests, Role, TrafficStep


def trace(failing: set[int], seconds: int = 120) -> Trace:
    """100 requests a second, of which 6 fail in the ``failing`` periods of 10 seconds."""
    bad = np.zeros((seconds * SECOND, 1), np.int32)
    for period in failing:
        bad[period * 100 : (period + 1) * 100 : 5] = 3
    good = 10 - bad
    stable = np.zeros((BEFORE + len(bad), 1), np.int32)
    return Trace([Step(len(bad), 1.0)], bad, good, stable, stable)


def test_the_benchmark_measures_the_gate_itself() -> None:
    detection.check(deployments=3)


def test_the_benchmark_gives_the_error_rate_what_the_judge_gives_it() -> None:
    judge = Judge(())
    judge.take(TrafficStep(0.0, 1.0, 120.0))
    judge.take(Requests(0.0, Role.CANDIDATE, "GET /", count=1, errors=1))
    judge.standing(0.1)
    stream = Stream(alpha=ALPHA)
    stream.begin_bake(1200)
    stream.add(1, 0, FLOOR)
    assert judge.evidence[0] == pytest.approx(stream.evidence_bad / stream.bound_bad)


def test_argo_rolls_back_at_the_fourth_failed_measurement() -> None:
    assert argo(trace({0, 2, 4})) == 1200
    assert argo(trace({0, 2, 4, 6})) == 700 - 1


def test_flagger_rolls_back_at_the_fifth_failed_check() -> None:
    assert flagger(trace({0, 1, 2, 3})) == 1200
    assert flagger(trace({0, 1, 2, 3, 9})) == 1000 - 1


def test_a_window_waits_for_its_end() -> None:
    assert fixed_window(trace(set(range(6)))) == 600 - 1
    assert fixed_window(trace({0, 1})) == 1200


@pytest.mark.parametrize("name", RULES)
def test_every_rule_sees_a_release_that_fails_half_and_none_a_clean_one(name: str) -> None:
    ticks = sum(step.ticks for step in DEFAULT)
    made = [simulate(np.random.default_rng(1), 5, DEFAULT, [(ticks, rate)], 0.001) for rate in (0.5, 0.0005)]
    bad, clean = (RULES[name](each) for each in made)
    assert (bad < ticks).all()
    assert (clean == ticks).all()


def test_what_was_recorded_is_what_was_seen() -> None:
    seen: list[Observation] = [
        Requests(-0.1, Role.STABLE, "GET /", count=100, errors=1),
        TrafficStep(0.0, 0.1, 30.0),
        Requests(0.0, Role.CANDIDATE, "GET /", count=5, errors=2, gone=1),
        Requests(0.3, Role.CANDIDATE, "GET /", count=1, errors=0),
        Requests(0.3, Role.CANDIDATE, "POST /", count=1, errors=1),
        TrafficStep(0.5, 1.0, 120.0),
        Requests(0.7, Role.CANDIDATE, "GET /", count=3, errors=0),
    ]
    made = recorded(seen)
    assert made.steps == [Step(5, 0.1), Step(3, 1.0)]
    assert made.bad[:, 0].tolist() == [2, 0, 0, 1, 0, 0, 0, 0]
    assert made.good[:, 0].tolist() == [3, 0, 0, 1, 0, 0, 0, 3]
    assert (made.stable_bad[BEFORE - 1, 0], made.stable_good[BEFORE - 1, 0]) == (1, 99)
    with pytest.raises(ValueError, match="no step or no request"):
        recorded(seen[:1])


def test_the_page_on_detection_says_what_is_needed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "detection.md").read_text(encoding="utf-8")
    assert "\n".join(requests_needed.table()) in page, "run: python -m benchmarks.requests_needed"


def test_the_gate_finds_the_recorded_faults_and_leaves_the_good_release_alone() -> None:
    said = detection.of_records(sorted((Path(detection.__file__).parent / "traces").glob("*.json")))
    ends = {name: each["rules"][OURS] for name, each in said.items()}
    assert ends.pop("1.1.0") is None
    assert set(ends) == {"1.1.0+fails-real-sales", "1.1.0+late-500s"}
    for name, end in ends.items():
        assert end is not None, name
        assert end["failed"] <= 10, name
