"""What a task of a swarm wrote: which tasks are asked at all, and what their stream carries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gate.containers.swarm import may_have_written, unframed

AT = datetime(2026, 11, 29, 20, 30, tzinfo=UTC).timestamp()


def task(state: str, container: str = "c1") -> dict[str, Any]:
    """One whose state was told half a second after ``AT``."""
    status = {
        "State": state,
        "Timestamp": "2026-11-29T20:30:00.512345678Z",
        "ContainerStatus": {"ContainerID": container},
    }
    return {"ID": "t1", "Status": status}


@pytest.mark.parametrize(
    ("state", "since", "asked"),
    [
        ("running", AT + 3600, True),
        ("starting", AT + 3600, True),
        ("shutdown", AT + 3600, False),
        ("failed", AT + 3600, False),
        ("shutdown", AT + 2, False),
        ("shutdown", AT + 1, True),
        ("shutdown", AT, True),
    ],
)
def test_one_that_had_ended_before_is_not_asked(state: str, since: float, asked: bool) -> None:
    assert may_have_written(task(state), since) is asked


def test_one_that_never_had_a_container_wrote_nothing() -> None:
    assert not may_have_written(task("rejected", container=""), AT)
    assert not may_have_written({"ID": "t1", "Status": {"State": "pending", "Timestamp": "2026-11-29T20:30:00Z"}}, AT)


def test_pieces_of_a_stream_are_put_together_and_what_is_missing_is_told() -> None:
    out, err = b"\x01\0\0\0\0\0\0\x05", b"\x02\0\0\0\0\0\0\x02"
    assert unframed(out + b"hello" + err + b"!\n") == (b"hello!\n", True)
    assert unframed(out + b"hel") == (b"hel", False)
    assert unframed(out + b"hello" + err[:5]) == (b"hello", False)
    assert unframed(b"") == (b"", True)


def test_what_docker_says_is_no_line_of_the_application() -> None:
    """Docker answers 200, and says in the stream that a node is not there."""
    out, dockers = b"\x01\0\0\0\0\0\0\x05", b"\x03\0\0\0\0\0\0\x05"
    assert unframed(out + b"hello" + dockers + b"error") == (b"hello", False)
