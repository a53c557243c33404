"""What each switch cost users, read from the proxy's log once a run is over."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from gate.signals.access_log import AccessLog
from gate.signals.switching import Switching

WINDOW = 1.0
"""Seconds before and after a switch that count as its own; half-way to the next one, where that is nearer."""


def costs(log: Path, switches: Sequence[datetime]) -> list[Switching | None]:
    """The cost of each switch, oldest first; None where the log does not reach back to it. Does not raise."""
    moments = [at.timestamp() for at in switches]
    if not moments:
        return []
    origin = max(moments)
    history = AccessLog(log, {}, origin)
    try:
        history.recall(origin - min(moments) + 2 * WINDOW)
    finally:
        history.close()
    halves = [(later - earlier) / 2 for earlier, later in itertools.pairwise(moments)]
    before, after = [WINDOW, *halves], [*halves, WINDOW]  # so that no request counts for two switches
    found = [
        history.around(at - origin, min(WINDOW, before[number]), min(WINDOW, after[number]))
        for number, at in enumerate(moments)
    ]
    return [cost if cost.complete else None for cost in found]
