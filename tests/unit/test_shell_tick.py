"""A command that takes long: whoever waits is told about once a second, and nothing of its output is lost."""

from __future__ import annotations

import sys

import pytest

from gate.errors import ShellError
from gate.machine import shell

TALKS = (
    "import sys, threading; print(len(sys.stdin.read())); sys.stdout.flush(); threading.Event().wait(1.6); print('end')"
)


def test_ticks_while_a_command_runs() -> None:
    ticks: list[int] = []
    given = "x" * 200_000  # more than a pipe holds
    finished = shell.run([sys.executable, "-c", TALKS], timeout=30, stdin=given, tick=lambda: ticks.append(1))
    assert finished.out.split() == ["200000", "end"]
    assert 1 <= len(ticks) <= finished.seconds


def test_a_command_that_never_ends_with_ticks() -> None:
    ticks: list[int] = []
    forever = "import threading; threading.Event().wait()"
    with pytest.raises(ShellError, match=r"did not end within 1\.5 s"):
        shell.run([sys.executable, "-c", forever], timeout=1.5, tick=lambda: ticks.append(1))
    assert ticks == [1]


def test_a_tick_that_raises_ends_the_command() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    forever = "import threading; threading.Event().wait()"
    with pytest.raises(KeyboardInterrupt):
        shell.run([sys.executable, "-c", forever], timeout=30, tick=interrupt)
