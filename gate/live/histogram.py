"""Durations counted at two significant figures: a quantile to within 5 %, in little memory whatever the traffic."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable


class Histogram:
    """Counts of durations in milliseconds."""

    def __init__(self) -> None:
        self._counts: Counter[float] = Counter()
        self.total = 0

    def add(self, milliseconds: float, many: int = 1) -> None:
        self._counts[_two_figures(milliseconds)] += many
        self.total += many

    def count(self, wanted: Callable[[float], bool]) -> int:
        """How many durations are ``wanted``."""
        return sum(many for value, many in self._counts.items() if wanted(value))

    def quantile(self, share: float) -> float | None:
        """The smallest duration that ``share`` (0 to 1) of all do not exceed; None without any."""
        rank, seen = math.ceil(share * self.total), 0
        for value in sorted(self._counts):
            seen += self._counts[value]
            if seen >= rank:
                return value
        return None


def _two_figures(value: float) -> float:
    if value <= 0:
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    return round(value, digits)
