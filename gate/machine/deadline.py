"""Waiting for something that may never come back by itself, until a moment and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooLate(Exception):  # noqa: N818 - what happened, not whose fault it is
    """Nothing came back in time; nobody waits for it any more."""


def within(seconds: float, what: str, ask: Callable[[], T]) -> T:
    """What ``ask`` returns or raises, if that is within ``seconds``: all of it.

    The time-out of a socket begins anew with each byte that comes; this one does not. ``ask`` runs in a thread named
    ``what``, which is left to itself when the time is up and keeps no process from ending. Raises TooLate.
    """
    answers: list[T] = []
    faults: list[BaseException] = []

    def asking() -> None:
        try:
            answers.append(ask())
        except BaseException as fault:  # noqa: BLE001 - it is raised where it is waited for
            faults.append(fault)

    thread = threading.Thread(target=asking, name=what, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if faults:
        raise faults[0]
    if not answers:
        raise TooLate(f"{what}: not done within {seconds:g} s")
    return answers[0]
