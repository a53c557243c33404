"""How many requests the test of the error rate needs. Run: python -m benchmarks.requests_needed

Prints the table of docs/detection.md. The first two columns of figures are exact; the medians are of simulated runs in
which each request is a tick of its own, so they are counts of requests and not of time.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Iterator

from benchmarks.detectors import ALPHA
from gate.judging import detection

TOLERATED = (0.01, 0.02, 0.05)
FAULTS = (0.05, 0.1, 0.2, 0.5)
RUNS = 150
BAKE = 1200
"""Ticks of a bake of two minutes."""


def table() -> Iterator[str]:
    """Lines of Markdown."""
    yield (
        "| tolerated | to catch | good ones to accept | bad ones to reject | "
        + " | ".join(f"until {fault:.0%} is found" for fault in FAULTS)
        + " |"
    )
    yield "|---" * (4 + len(FAULTS)) + "|"
    for tolerated in TOLERATED:
        caught = detection.faults(tolerated, detection.BAD_SHARE)[0]
        needed = stream().needed_clean(tolerated)
        medians = [median(tolerated, fault) for fault in FAULTS]
        yield f"| {tolerated:.0%} | {caught:.0%} | {needed} | {in_a_row(tolerated)} | {' | '.join(medians)} |"
    late = [median(0.01, fault, late=True) for fault in FAULTS]
    yield f"| 1% | 5%, within the bake | | | {' | '.join(late)} |"


def stream() -> detection.Stream:
    return detection.Stream(alpha=ALPHA)


def in_a_row(tolerated: float) -> int:
    """Bad requests, and nothing else, from the first one on until the release is rejected."""
    watch = stream()
    while not watch.rejected:
        watch.add(1, 0, tolerated)
    return watch.requests


def median(tolerated: float, fault: float, *, late: bool = False) -> str:
    """Requests, and how many of them fail, until a fault is found; ``late``: one that starts 30 s into the bake."""
    if fault <= tolerated:
        return "healthy"
    if fault < detection.faults(tolerated, detection.BAD_SHARE)[0]:
        return "too near"
    chance = random.Random(f"{tolerated} {fault}")
    seen, failed = [], []
    for _ in range(RUNS):
        watch = stream()
        if late:
            watch.begin_bake(BAKE)
            for _ in range(300):
                watch.add(0, 10, tolerated)
        requests, bad = watch.requests, watch.bad
        while not watch.rejected:
            if late:  # at full traffic: ten requests a tick
                many = sum(chance.random() < fault for _ in range(10))
                watch.add(many, 10 - many, tolerated)
            else:
                many = chance.random() < fault
                watch.add(many, 1 - many, tolerated)
        seen.append(watch.requests - requests)
        failed.append(watch.bad - bad)
    return f"{statistics.median(seen):.0f} ({statistics.median(failed):.0f} bad)"


def main() -> int:
    for line in table():
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
