"""Every line of a growing file is handed out once, in order, whatever happens to the file."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import pytest

from gate.machine.shell import wait_until
from gate.signals.tail import LONGEST, Follower
from tests.signals.lines import Log


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last)]


def text(first: int, last: int) -> str:
    return "".join(f"{line}\n" for line in numbered(first, last))


def test_only_what_is_new_is_read(log: Log) -> None:
    log.write(text(0, 5))
    from_now, whole = Follower(log.path, from_end=True), Follower(log.path, from_end=False)
    log.write(text(5, 7))
    assert from_now.read() == numbered(5, 7)
    assert from_now.read() == []
    assert whole.read() == numbered(0, 7)


def test_half_a_line_waits_for_its_end(log: Log) -> None:
    log.write("begun before ")
    follower = Follower(log.path, from_end=True)
    assert follower.read() == []
    log.write("and ended\nbegun")
    assert follower.read() == ["begun before and ended"]
    log.write(" later\n")
    assert follower.read() == ["begun later"]


def test_a_character_cut_in_two_by_a_read_is_whole(log: Log) -> None:
    follower = Follower(log.path, from_end=False)
    raw = "Käse\n".encode()
    log.write(raw[:2])
    assert follower.read() == []
    log.write(raw[2:])
    assert follower.read() == ["Käse"]


def test_bytes_that_are_no_text_are_replaced(log: Log) -> None:
    log.write(b"\xff\xfe one\n\x00\ntwo\r\xe2\x80\xa8 still two\n")
    assert Follower(log.path, from_end=False).read() == ["�� one", "\x00", "two\r\u2028 still two"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_rotated_file_is_finished_before_the_new_one(log: Log, packed: bool) -> None:
    follower = Follower(log.path, from_end=True)
    log.write(text(0, 3))
    assert follower.read() == numbered(0, 3)
    log.write(text(3, 6))
    log.rotate(packed=packed)
    log.write(text(6, 8))
    assert follower.read() == numbered(3, 8)


@pytest.mark.parametrize("packed", [False, True])
def test_several_rotations_between_two_reads_lose_nothing(log: Log, packed: bool) -> None:
    log.write(text(0, 2))
    log.rotate(packed=packed)
    follower = Follower(log.path, from_end=True)
    for first in range(2, 10, 2):
        log.write(text(first, first + 2))
        log.rotate(packed=packed)
    log.write(text(10, 12))
    assert follower.read() == numbered(2, 12)
    log.rotate(packed=packed)
    log.write(text(12, 14))
    assert follower.read() == numbered(12, 14)
    assert follower.lost == 0


def test_files_rotated_away_while_others_are_still_read(log: Log) -> None:
    """Small bites: each call reads a few bytes, and the log is rotated between any two."""
    follower = Follower(log.path, from_end=True, at_once=10)
    seen = []
    for first in range(0, 20, 2):
        log.write(text(first, first + 2))
        seen += follower.read()
        log.rotate(packed=first % 4 == 0)
        seen += follower.read()
    for _ in range(50):
        seen += follower.read()
    assert seen == numbered(0, 20)


def test_a_rotated_file_that_is_gone_is_counted(log: Log) -> None:
    follower = Follower(log.path, from_end=True)
    log.write(text(0, 2))
    log.rotate()
    log.write(text(2, 4))
    broken = log.rotate(packed=True)
    broken.write_bytes(broken.read_bytes()[:-4])
    log.write(text(4, 6))
    log.rotate(packed=True).write_bytes(b"not compressed at all")
    log.write(text(6, 8))
    assert follower.read()[-2:] == numbered(6, 8)
    assert follower.lost == 2


def test_a_file_renamed_in_another_way(log: Log) -> None:
    follower = Follower(log.path, from_end=True)
    log.write(text(0, 2))
    log.close()
    log.path.rename(log.path.with_name("access.log.1"))
    log.path.with_name("access-admin.log").write_text("of another service\n")
    assert follower.read() == numbered(0, 2)
    assert follower.absent
    assert not follower.readable
    log.path.write_text(text(2, 4))
    assert follower.read() == numbered(2, 4)
    assert follower.readable


def test_a_file_that_is_cut_is_read_from_its_beginning(log: Log) -> None:
    follower = Follower(log.path, from_end=True)
    log.write(text(0, 9), "half")
    assert follower.read() == numbered(0, 9)
    log.cut()
    log.write(text(9, 11))
    assert follower.read() == ["half", *numbered(9, 11)]


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "later" / "access.log", from_end=True)
    assert follower.read() == []
    assert (follower.absent, follower.fault) == (True, "No such file or directory")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "access.log").write_text(text(0, 2))
    assert follower.read() == numbered(0, 2)
    assert follower.readable


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    follower = Follower(tmp_path, from_end=True)
    assert follower.read() == []
    assert (follower.absent, follower.fault) == (False, "Is a directory")


def test_a_line_without_end_does_not_fill_the_memory(log: Log) -> None:
    follower = Follower(log.path, from_end=False)
    for _ in range(64):
        log.write(b"x" * 1_000_000)
    log.write("\n", text(0, 2), b"y" * (LONGEST + 5), "\n", text(2, 3))
    tracemalloc.start()
    seen: list[str] = []
    while lines := follower.read():
        seen += lines
    for _ in range(64):
        seen += follower.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == ["x" * LONGEST, *numbered(0, 2), "y" * LONGEST, *numbered(2, 3)]
    assert peak < 8_000_000


def test_a_call_reads_a_part_and_keeps_the_order(log: Log) -> None:
    follower = Follower(log.path, from_end=False, at_once=1000)
    log.write(text(0, 1000))
    first = follower.read()
    assert 0 < len(first) < 200
    seen = first
    while lines := follower.read():
        seen += lines
    assert seen == numbered(0, 1000)


def test_nothing_is_lost_while_a_writer_rotates_under_load(log: Log) -> None:
    many, follower = 20_000, Follower(log.path, from_end=True)

    def write() -> None:
        for first in range(0, many, 50):
            half = text(first, first + 50)
            log.write(half[:333])
            log.write(half[333:])
            if first % 500 == 450:
                log.rotate(packed=first % 1000 == 450)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[str] = []

    def all_read() -> bool:
        seen.extend(follower.read())
        return len(seen) >= many

    assert wait_until(all_read, timeout=60, every=0.001)
    writer.join()
    assert seen == numbered(0, many)
    assert follower.lost == 0


def test_what_was_written_earlier_is_told_apart_from_what_is_new(log: Log) -> None:
    log.write(text(0, 3))
    log.rotate()
    log.write(text(3, 6))
    log.rotate(packed=True)
    log.write(text(6, 9), "half")
    follower = Follower(log.path, from_end=True)
    log.write(" and half\n", text(9, 11))
    assert list(follower.earlier()) == [numbered(6, 9), numbered(3, 6)]
    assert [piece[-1:] for piece in follower.earlier(limit=10)] == [["line 8"], ["line 5"]]
    assert follower.read() == ["half and half", *numbered(9, 11)]
