"""What users were answered, as the benchmark of the engines counts it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from benchmarks.engines import summed
from benchmarks.ordering import Answer, bad_from, counted, moved_at, released

ANSWERS = [
    Answer(0.0, 0.1, "1", good=True),
    Answer(0.1, 0.2, "2", good=True),
    Answer(0.1, 0.3, "1", good=True),
    Answer(0.3, 0.9, "", good=False),
    Answer(0.9, 1.0, "2", good=False),
    Answer(1.0, 1.1, "2", good=True),
    Answer(1.1, 1.2, "2", good=False),
]


def test_failed_requests_are_counted_with_and_without_an_answer() -> None:
    assert counted(ANSWERS) == {"requests": 7, "failed": 3, "unanswered": 1, "longest_ms": 600}


def test_users_have_moved_when_nobody_gets_the_earlier_release_any_more() -> None:
    assert moved_at(ANSWERS, "1", "2") == 1.1
    assert moved_at(ANSWERS, "2", "1") is None
    assert moved_at(ANSWERS[:1], "1", "2") is None


def test_a_bad_release_is_met_from_its_first_to_its_last_bad_answer() -> None:
    assert bad_from(ANSWERS, "2") == (1.0, 1.2)
    assert bad_from(ANSWERS, "1") is None


@pytest.mark.parametrize(
    ("answer", "release"),
    [
        (httpx.Response(500, json={"version": "1.2.0"}), "1.2.0"),
        (httpx.Response(502, text=""), ""),
        (httpx.Response(200, json=["a"]), ""),
    ],
)
def test_an_answer_says_which_release_gave_it(answer: httpx.Response, release: str) -> None:
    assert released(answer) == release


def test_what_one_round_did_not_measure_is_no_figure_of_all() -> None:
    rounds: list[dict[str, dict[str, Any]]] = [
        {"bad": {"seconds": 1.0, "failed": 1, "longest_ms": 7, "taken_back": True, "bad_for": 3.0}},
        {"bad": {"seconds": 4.0, "failed": 2, "longest_ms": 5, "taken_back": False, "bad_for": None}},
        {"bad": {"seconds": 2.0, "failed": 0, "longest_ms": 6, "taken_back": True, "bad_for": 2.0}},
    ]
    wanted = {"seconds": 2.0, "failed": 3, "longest_ms": 7, "taken_back": 2, "bad_for": [2.0, 3.0]}
    assert summed(rounds)["bad"] == wanted
