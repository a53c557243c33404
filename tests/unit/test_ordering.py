"""What users were answered, as the benchmark of the engines counts it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from benchmarks.engines import summed
from benchmarks.ordering import Answer, Errors, counted, errors_of, moved_at, released

ANSWERS = [
    Answer(0.0, 0.1, "1", good=True),
    Answer(0.1, 0.2, "2", good=True),
    Answer(0.1, 0.3, "1", good=True),
    Answer(0.3, 0.9, "", good=False),
    Answer(0.9, 1.0, "2", good=False),
    Answer(1.0, 1.1, "2", good=True),
    Answer(1.1, 1.2, "2", good=False),
    Answer(1.2, 1.5, "", good=False),
]


def test_failed_requests_are_counted_with_and_without_an_answer() -> None:
    assert counted(ANSWERS) == {"requests": 8, "failed": 4, "unanswered": 2, "longest_ms": 600}


def test_users_have_moved_when_nobody_gets_the_earlier_release_any_more() -> None:
    assert moved_at(ANSWERS, "1", "2") == 1.1
    assert moved_at(ANSWERS, "2", "1") is None
    assert moved_at(ANSWERS[:1], "1", "2") is None


def test_users_have_errors_of_a_bad_release_until_nothing_fails_any_more() -> None:
    assert errors_of(ANSWERS, "2") == Errors(first=1.0, last=1.2, over=1.5)
    assert errors_of(ANSWERS, "1") is None


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
        {"bad": {"seconds": 1.0, "failed": 1, "longest_ms": 7, "taken_back": True, "errors_for": 3.0}},
        {"bad": {"seconds": 4.0, "failed": 2, "longest_ms": 5, "taken_back": False, "errors_for": None}},
        {"bad": {"seconds": 2.0, "failed": 0, "longest_ms": 6, "taken_back": True, "errors_for": 2.0}},
    ]
    wanted = {"seconds": 2.0, "failed": 3, "longest_ms": 7, "taken_back": 2, "errors_for": [2.0, 3.0]}
    assert summed(rounds)["bad"] == wanted
