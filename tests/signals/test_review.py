"""What users were answered lately is counted from the end of the proxy's log, and of them alone."""

from __future__ import annotations

import json
from pathlib import Path

from gate.signals.review import Review, review
from tests.signals.lines import ORIGIN, Log, line


def looked(log: Log | Path, since: float = -60, until: float = 60) -> Review:
    path = log if isinstance(log, Path) else log.path
    return review(path, ORIGIN + since, ORIGIN + until, {"/health"})


def test_everybody_s_users_are_counted_whoever_answered_them_or_nobody_did(log: Log) -> None:
    log.write(
        line(1, instance="r1"),
        line(2, instance="r2", status=404),
        line(3, instance="r2", status=500),
        line(4, instance=None, status=502),
    )
    found = looked(log)
    assert (found.requests, found.errors, found.fault) == (4, 2, "")
    assert sum(found.milliseconds.values()) == 4


def test_clients_that_left_probes_and_what_is_no_request_are_not(log: Log) -> None:
    cut_off = json.loads(line(1, duration=0))
    del cut_off["upstream"]
    log.write(
        line(1, status=499),
        line(1, probe="yes", status=500),
        json.dumps(cut_off) + "\n",
        "no request\n",
        line(1, path="/health", release="1.0.0", status=500),
        line(1, path="/health"),
    )
    found = looked(log)
    assert (found.requests, found.errors) == (1, 0), "a user may ask our own proxy for /health too"


def test_only_the_time_that_was_asked_for_counts(log: Log) -> None:
    log.write(line(-61, status=500), line(-60), line(0), line(60), line(61, status=500))
    found = looked(log)
    assert (found.requests, found.errors, found.since) == (3, 0, ORIGIN - 60)


def test_a_log_that_does_not_reach_back_says_how_far_it_does(log: Log) -> None:
    log.write(line(10), line(20))
    assert looked(log).since == ORIGIN + 10


def test_it_goes_on_in_the_file_rotated_last(log: Log) -> None:
    log.write(line(-70), line(-10, status=500))
    log.rotate(packed=True)
    log.write(line(10))
    found = looked(log)
    assert (found.requests, found.errors, found.since) == (2, 1, ORIGIN - 60)


def test_no_log_is_a_fault_and_no_quiet_night(tmp_path: Path) -> None:
    assert "access.log" in looked(tmp_path / "access.log").fault


def test_what_another_release_answered_is_not_the_serving_ones_doing(log: Log) -> None:
    log.write(
        line(1, instance="r1"),
        line(2, instance="r2", status=500),
        line(3, instance=None, status=502),
    )
    found = review(log.path, ORIGIN - 60, ORIGIN + 60, serving="r1")
    assert (found.requests, found.errors) == (2, 1)
