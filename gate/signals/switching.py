"""What a switch cost users, counted from the proxy's own lines."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

KEPT = 100_000
"""Answers remembered: 20 seconds at 5,000 requests a second, 3 MB."""


@dataclass(frozen=True)
class Switching:
    """Users' requests that ended around a switch.

    ``failed`` are answers 5xx and requests nobody answered. ``longest_gap`` is the longest time in milliseconds
    between two answers in a row, of which at least one lies in the window or which enclose it; None with fewer than
    two. ``cut_off`` are answers that broke off in their middle, which the proxy does not tell from clients that left
    in the middle of one; they are in no other count. ``complete`` is false when the window's beginning was forgotten
    already: the counts are then too low.
    """

    attempted: int
    failed: int
    longest_gap: float | None
    cut_off: int
    complete: bool


class Recent:
    """When the last requests ended, and which failed. Times are seconds, all from the same origin."""

    def __init__(self, kept: int = KEPT) -> None:
        # Two numbers would cost three times the memory: a failure is remembered as the negative of its time.
        self._ended: deque[float] = deque(maxlen=kept)
        self._cut_off: deque[float] = deque(maxlen=kept)
        self._forgot = False

    def add(self, ended: float, *, failed: bool) -> None:
        """Remembers one request; ``ended`` is above 0."""
        self._forgot = self._forgot or len(self._ended) == self._ended.maxlen
        self._ended.append(-ended if failed else ended)

    def add_cut_off(self, ended: float) -> None:
        """Remembers an answer that broke off."""
        self._cut_off.append(ended)

    def forget(self) -> None:
        """What ended before everything added so far is not known."""
        self._forgot = True

    def around(self, moment: float, before: float, after: float) -> Switching:
        """What ended from ``before`` seconds before a moment to ``after`` seconds after it."""
        begin, end = moment - before, moment + after
        known, cut_off = self._ended.copy(), self._cut_off.copy()  # another thread may go on reading the log
        inside = [ended for ended in known if begin <= abs(ended) <= end]
        answers = sorted(ended for ended in known if ended > 0)
        gaps = [later - earlier for earlier, later in itertools.pairwise(answers) if later >= begin and earlier <= end]
        return Switching(
            attempted=len(inside),
            failed=sum(ended < 0 for ended in inside),
            longest_gap=round(max(gaps) * 1000, 1) if gaps else None,
            cut_off=sum(begin <= ended <= end for ended in cut_off),
            complete=not self._forgot or any(abs(ended) < begin for ended in known),
        )
