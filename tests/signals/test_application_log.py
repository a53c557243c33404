"""Error lines of a release's services are counted from now on, and a log that cannot be read is told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gate.errors import EngineError
from gate.live.observations import Blind, ErrorLines, Role
from gate.signals.application_log import ErrorWatch
from gate.signals.log_files import LogFiles
from tests.signals.lines import Log
from tests.unit.lines import MadeUp

PATTERN = r"\b(ERROR|CRITICAL|FATAL)\b"


def test_error_lines_are_counted_by_service(tmp_path: Path) -> None:
    web, worker = Log(tmp_path, "web.log"), Log(tmp_path, "worker.log")
    web.write("ERROR of yesterday\n")
    follow = LogFiles({"web": web.path, "worker": worker.path}, lambda text: text.replace("hunter2", "[redacted]"))
    watch = ErrorWatch(follow, {"web": PATTERN, "worker": PATTERN}, Role.CANDIDATE)
    nothing = [ErrorLines(0.1, Role.CANDIDATE, service, 0) for service in ("web", "worker")]
    assert watch.read(0.1) == nothing, "that it is watched is told once"
    assert watch.read(0.2) == []
    web.write("INFO no ERRORS here\n", "ERROR: password hunter2\n", "  File x, line 3\n", "CRITICAL\n")
    assert watch.read(0.3) == [ErrorLines(0.3, Role.CANDIDATE, "web", 2, "ERROR: password [redacted]")]
    worker.write("FATAL " + "x" * 1000 + "\n")
    (row,) = watch.read(0.4)
    assert isinstance(row, ErrorLines)
    assert (row.service, row.count, len(row.first)) == ("worker", 1, 300)
    web.close()
    worker.close()


def test_a_service_without_a_pattern_is_not_watched() -> None:
    watch = ErrorWatch(MadeUp(lambda: [("web", "ERROR"), ("other", "ERROR")]), {"web": "ERROR"}, Role.STABLE)
    assert watch.read(0.0) == [ErrorLines(0.0, Role.STABLE, "web", 1, "ERROR")]


def test_a_step_needs_a_look_that_began_in_it() -> None:
    """Of a log that is read now and then, what was read before says nothing about the step."""

    class Slow(MadeUp):
        def __call__(self) -> list[tuple[str, str]]:
            return []

    slow = Slow(list)
    watch = ErrorWatch(slow, {"web": "ERROR"}, Role.CANDIDATE)
    assert watch.read(0.0) == []
    slow.read_since = time.monotonic()
    assert watch.read(0.0) == [ErrorLines(0.0, Role.CANDIDATE, "web", 0)]
    watch.again()
    assert watch.read(0.1) == []
    slow.read_since = time.monotonic()
    assert watch.read(0.2) == [ErrorLines(0.2, Role.CANDIDATE, "web", 0)]
    assert watch.read(0.3) == []


def test_a_service_that_starts_later_is_watched_from_its_first_line(tmp_path: Path) -> None:
    follow = LogFiles({"worker": tmp_path / "worker.log"}, str)
    assert follow() == []
    (tmp_path / "worker.log").write_text("first\n")
    assert follow() == [("worker", "first")]


def test_a_log_that_cannot_be_read_is_told_and_nothing_of_the_others_is_lost(tmp_path: Path) -> None:
    web = Log(tmp_path, "web.log")
    place = tmp_path / "worker.log"
    follow = LogFiles({"web": web.path, "worker": place}, str)
    watch = ErrorWatch(follow, {"web": PATTERN, "worker": PATTERN}, Role.CANDIDATE)
    watch.read(0.0)
    place.mkdir()
    web.write("ERROR one\n")
    with pytest.raises(EngineError, match=r"worker\.log: cannot be read: Is a directory"):
        follow()
    web.write("ERROR two\n")
    (blind,) = watch.read(0.1)
    assert isinstance(blind, Blind)
    assert blind.what == "log_error_rate"
    place.rmdir()
    place.write_text("ERROR three\n")
    assert watch.read(0.2) == [
        ErrorLines(0.2, Role.CANDIDATE, "web", 1, "ERROR one"),
        ErrorLines(0.2, Role.CANDIDATE, "worker", 1, "ERROR three"),
    ]
    assert watch.read(0.3) == [ErrorLines(0.3, Role.CANDIDATE, "web", 1, "ERROR two")]
    web.close()
