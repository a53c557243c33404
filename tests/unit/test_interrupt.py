"""A signal while the gate may stop ends what it does, wherever it comes; at any other moment it waits."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gate.machine.interrupt import Interrupted, Interrupts


class Finalised:
    """Gets a signal while it is thrown away: what is raised then Python drops."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def interrupts(refused: list[str]) -> Iterator[Interrupts]:
    made = Interrupts(lambda: refused.append("heard"))
    with made.listening():
        yield made


def test_a_signal_in_a_block_ends_it_there(interrupts: Interrupts, refused: list[str]) -> None:
    passed: list[str] = []

    def act() -> None:
        signal.raise_signal(signal.SIGTERM)
        passed.append("went on")

    with pytest.raises(Interrupted), interrupts.allowed():
        act()
    assert (passed, refused) == ([], [])


def test_a_signal_between_two_blocks_ends_the_next(interrupts: Interrupts, refused: list[str]) -> None:
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(Interrupted), interrupts.allowed():
        pytest.fail("went on")
    assert refused == ["heard"]


def test_a_second_signal_does_not_end_the_cleaning_up_after_the_first(interrupts: Interrupts) -> None:
    cleaned: list[str] = []

    def act() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleaned.append("to the end")

    with pytest.raises(Interrupted), interrupts.allowed():
        act()
    assert cleaned == ["to the end"]


def test_a_signal_that_hits_a_finaliser_ends_the_block_soon(interrupts: Interrupts) -> None:
    waited: list[bool] = []

    def act() -> None:
        Finalised()
        waited.append(threading.Event().wait(20))

    with pytest.raises(Interrupted), interrupts.allowed():
        act()
    assert waited == []


def test_a_signal_that_hits_a_finaliser_of_a_short_block_ends_it_too(interrupts: Interrupts) -> None:
    with pytest.raises(Interrupted), interrupts.allowed():
        Finalised()


def test_a_signal_that_what_runs_swallowed_ends_the_block_at_its_end(interrupts: Interrupts) -> None:
    with pytest.raises(Interrupted), interrupts.allowed(), contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_else_a_finaliser_drops_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: told.append(what.exc_type))

    class Faulty:
        def __del__(self) -> None:
            raise ValueError

    with Interrupts(lambda: None).listening():
        Faulty()
    assert told == [ValueError]


def test_afterwards_the_signals_are_as_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts(lambda: None).listening():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) is before
