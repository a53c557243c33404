"""The logs of requests of several front doors as one file, which is there only while all of them are heard of."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any, cast

from gate.errors import EngineError
from gate.machine.shell import wait_until
from gate.remote.door import Door
from gate.remote.mirror import Mirror


class Printing:
    """A front door whose log is what a test says; implements what the mirror asks of ``Door``."""

    def __init__(self, name: str, before: str = "") -> None:
        self.name = name
        self.before = before
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.lost = False
        self.engine = self
        self.api = self

    def logs(self, _name: str, *, follow: bool, **_: Any) -> Any:
        if self.lost:
            raise EngineError("no SSH connection")
        return self._new() if follow else self.before.encode()

    def _new(self) -> Iterator[bytes]:
        while (line := self.lines.get()) is not None:
            yield line.encode()

    def says(self, second: int, text: str) -> None:
        self.lines.put(line(second, text))


def line(second: int, text: str) -> str:
    return f"2026-11-29T01:00:{second:02}.000000000Z {text}\n"


def mirrored(*doors: Printing) -> Mirror:
    return Mirror([cast(Door, door) for door in doors])


def within(condition: Any) -> bool:
    return wait_until(condition, timeout=10, every=0.01)


def test_what_all_front_doors_print_is_one_log_in_its_order() -> None:
    a, b = Printing("a", line(1, "one") + line(3, "three")), Printing("b", line(2, "two"))
    log = mirrored(a, b)
    try:
        assert log.file.read_text() == "one\ntwo\nthree\n"
        b.says(4, "four")
        assert within(lambda: log.file.read_text().endswith("four\n"))
        a.says(5, "five")
        assert within(lambda: log.file.read_text() == "one\ntwo\nthree\nfour\nfive\n")
    finally:
        _end(log, a, b)


def test_while_one_server_is_not_heard_of_there_is_no_log_and_nothing_is_lost_or_doubled() -> None:
    a, b = Printing("a", line(1, "one")), Printing("b", line(2, "two"))
    log = mirrored(a, b)
    try:
        b.lost = True
        b.lines.put(None)
        assert within(lambda: not log.file.exists())
        a.says(4, "of the other one")
        b.lost = False
        b.says(2, "two")  # as the engine tells it again
        b.says(5, "back")
        assert within(lambda: log.file.exists() and log.file.read_text().endswith("back\n"))
        assert sorted(log.file.read_text().splitlines()) == ["back", "of the other one", "one", "two"]
    finally:
        _end(log, a, b)


def _end(log: Mirror, *doors: Printing) -> None:
    log.close()
    for door in doors:
        door.lost = True
        door.lines.put(None)
