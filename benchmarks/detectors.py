"""Traffic of many deployments at once, made up or recorded, and the rules that watch it, each over the same traffic.

Everything is an array of (tick, deployment); a tick is 0.1 s. A rule answers with the tick at whose end it would have
rolled back each deployment, ``trace.ticks`` where it would not. Rules of other tools are modelled on their documents
and code, with the limit of this gate's rule, 5 %: they are as their users would set them, and see all requests at once
(a scrape of metrics every 15 s, which those tools need, would add to their times).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import stats

from gate.judging import detection
from gate.live.observations import Observation, Requests, Role, TrafficStep

Counts = npt.NDArray[np.int32]
Ticks = npt.NDArray[np.int64]
Rule = Callable[["Trace"], Ticks]

SECOND = 10
"""Ticks in one."""
BEFORE = 60 * SECOND
"""Ticks of stable's traffic that are known from before the watch."""
REQUESTS = 100
"""A second, of both releases together, where traffic is made up."""
LIMIT = 0.05
ALPHA = detection.ALPHA / 6
"""What the judge gives to the error rate over all requests; the rest is for the routes and the other signals."""


@dataclass(frozen=True)
class Step:
    ticks: int
    share: float


DEFAULT = (Step(30 * SECOND, 0.1), Step(30 * SECOND, 0.5), Step(120 * SECOND, 1.0))


@dataclass(frozen=True)
class Trace:
    """What both releases answered. Stable's first ``BEFORE`` ticks lie before the watch."""

    steps: Sequence[Step]
    bad: Counts
    good: Counts
    stable_bad: Counts
    stable_good: Counts
    sums: dict[str, Counts] = field(default_factory=dict)

    @property
    def ticks(self) -> int:
        return len(self.bad)

    def window(self, name: str, begin: int, end: int) -> Counts:
        """Requests of the kind in the ticks from ``begin`` to before ``end``, of each deployment."""
        if name not in self.sums:
            counts: Counts = getattr(self, name)
            self.sums[name] = np.concatenate([np.zeros((1, counts.shape[1]), np.int32), counts.cumsum(0, np.int32)])
        total: Counts = self.sums[name][end] - self.sums[name][begin]
        return total

    def share(self, begin: int, end: int) -> npt.NDArray[np.float64]:
        """The candidate's share of errors there; 0 where it answered nothing."""
        bad = self.window("bad", begin, end)
        total: npt.NDArray[np.float64] = bad / np.maximum(1, bad + self.window("good", begin, end))
        return total


def simulate(
    chance: np.random.Generator,
    deployments: int,
    steps: Sequence[Step],
    shares: Sequence[tuple[int, float]],
    stable: float,
) -> Trace:
    """Poisson traffic over the ``steps``; the candidate's error rate by (ticks, rate), stable's is ``stable``."""
    traffic = REQUESTS / SECOND
    parts = np.repeat([step.share for step in steps], [step.ticks for step in steps])
    rates = np.repeat([rate for _, rate in shares], [ticks for ticks, _ in shares])
    assert len(parts) == len(rates)

    def arrivals(mean: npt.NDArray[np.float64]) -> Counts:
        """Drawn run by run of the same mean: far faster than one mean a cell."""
        edges = [0, *(np.flatnonzero(np.diff(mean)) + 1), len(mean)]
        runs = [
            chance.poisson(mean[begin], (end - begin, deployments)).astype(np.int32) for begin, end in pairwise(edges)
        ]
        return np.concatenate(runs)

    rest = np.concatenate([np.ones(BEFORE), 1 - parts])
    return Trace(
        steps,
        bad=arrivals(traffic * parts * rates),
        good=arrivals(traffic * parts * (1 - rates)),
        stable_bad=arrivals(traffic * rest * stable),
        stable_good=arrivals(traffic * rest * (1 - stable)),
    )


def recorded(seen: Iterable[Observation]) -> Trace:
    """The trace of one deployment from what was recorded of it. Raises ValueError if nothing was watched."""
    seen = list(seen)
    steps = [each for each in seen if isinstance(each, TrafficStep)]
    requests = [each for each in seen if isinstance(each, Requests)]
    if not steps or not requests:
        raise ValueError("the record holds no step or no request")
    ends = [each.at for each in steps[1:]] + [max(each.at for each in requests) + 1 / SECOND]
    lengths = [max(1, round((end - each.at) * SECOND)) for each, end in zip(steps, ends, strict=True)]
    bad, good, stable_bad, stable_good = (
        np.zeros((rows, 1), np.int32) for rows in (sum(lengths),) * 2 + (BEFORE + sum(lengths),) * 2
    )
    for each in requests:
        stable = each.role is Role.STABLE
        row = math.floor((each.at - steps[0].at) * SECOND + 1e-6) + (BEFORE if stable else 0)
        failed, fine = (stable_bad, stable_good) if stable else (bad, good)
        if 0 <= row < len(failed):
            failed[row] += each.errors
            fine[row] += each.count - each.errors
    made = [Step(ticks, step.share) for ticks, step in zip(lengths, steps, strict=True)]
    return Trace(made, bad, good, stable_bad, stable_good)


def begin(stakes: detection.Stakes | detection.Stream, step: Step) -> None:
    (stakes.begin_bake if step.share >= 1 else stakes.begin_step)(step.ticks)


@dataclass(frozen=True)
class Verdicts:
    rejected: Ticks
    accepted: npt.NDArray[np.bool_]


def ours(trace: Trace, alpha: float = ALPHA, beta: float = detection.BETA) -> Verdicts:
    """gate.judging.detection for all deployments at once: the same sums, as plain numbers instead of logarithms."""
    deployments = trace.bad.shape[1]
    parts = np.array(detection.SIZES)[:, None]
    worth = np.zeros((len(parts), deployments))
    good = np.zeros(deployments)
    rejected = np.full(deployments, trace.ticks)
    stakes, bound, cap = detection.Stakes(), 1 / alpha, 2 * -np.log(beta)
    starts = dict(zip(np.cumsum([0, *(step.ticks for step in trace.steps)]).tolist(), trace.steps, strict=False))
    by_bad = by_good = np.zeros((len(parts), deployments))
    known = -1
    for tick in range(trace.ticks):
        if tick in starts:
            begin(stakes, starts[tick])
        if known < 0 or trace.stable_good[known : BEFORE + tick].any():  # else stable's rate is what it was
            by_bad, by_good = _gains(trace, BEFORE + tick)
        known = BEFORE + tick
        grown = trace.bad[tick] * by_bad + trace.good[tick] * by_good
        worth = (worth + stakes.next() * parts) * np.exp(np.minimum(grown, 50))
        np.minimum(worth, 1e100, out=worth)
        rejected[(worth.sum(0) + stakes.kept >= bound) & (rejected == trace.ticks)] = tick
        good = np.minimum(good - grown[0], cap)
    return Verdicts(rejected, (good >= -np.log(beta)) & (rejected == trace.ticks))


def _gains(trace: Trace, end: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What a bad and a good request weigh against each size of fault, by what stable answered before ``end``."""
    bad = trace.window("stable_bad", 0, end)
    total = bad + trace.window("stable_good", 0, end)
    rate = bad / np.maximum(1, total)
    twice = 2 * (rate + np.sqrt(rate * (1 - rate) / np.maximum(1, total)))
    p0 = np.where(total < detection.TRUSTED, detection.FLOOR, np.clip(twice, detection.FLOOR, 0.89))
    least = np.maximum(detection.BAD_SHARE, np.minimum(0.9, 2 * p0))
    odds = (least / (1 - least)) * np.array([1.0, 5.0, 25.0])[:, None]
    sizes = odds / (1 + odds)
    return np.log(sizes / p0), np.log((1 - sizes) / (1 - p0))


def fixed_window(trace: Trace, seconds: int = 60) -> Ticks:
    """Once every ``seconds``: the share of errors in them."""
    return _failed_checks(trace, seconds, 1)


def argo(trace: Trace) -> Ticks:
    """Argo Rollouts, interval 10 s, failureLimit 3. Its code rolls back when failures exceed the limit, at the fourth;
    its documents read as if the third were enough."""
    return _failed_checks(trace, 10, 4)


def flagger(trace: Trace) -> Ticks:
    """Flagger, interval 10 s, threshold 5: rolls back at the fifth failed check; they add up over the analysis."""
    return _failed_checks(trace, 10, 5)


def flagger_quick(trace: Trace) -> Ticks:
    """Flagger as it is often set: interval 30 s, threshold 2."""
    return _failed_checks(trace, 30, 2)


def _failed_checks(trace: Trace, interval: int, allowed: int) -> Ticks:
    """Every ``interval`` seconds: was the share of errors in them beyond the limit? The ``allowed``-th rolls back."""
    failed = np.zeros(trace.bad.shape[1], np.int32)
    rejected = np.full(len(failed), trace.ticks)
    length = interval * SECOND
    for end in range(length, trace.ticks + 1, length):
        failed += trace.share(end - length, end) > LIMIT
        rejected[(failed >= allowed) & (rejected == trace.ticks)] = end - 1
    return rejected


def kayenta(trace: Trace, seconds: int = 60) -> Ticks:
    """Kayenta's judge on windows of 60 s: each second's share of errors beside stable's in the same window.

    High when the 98 % interval of the shift lies above a quarter of the shift itself and the mean is 1.25 times
    stable's. Where stable has no traffic any more, its last window is the baseline.
    """
    rejected = np.full(trace.bad.shape[1], trace.ticks)
    length, baseline = seconds * SECOND, _by_second(trace.stable_bad, trace.stable_good, 0, seconds * SECOND)
    for end in range(length, trace.ticks + 1, length):
        stable = BEFORE + end
        if trace.stable_good[stable - length : stable].any(axis=1).mean() > 0.5:
            baseline = _by_second(trace.stable_bad, trace.stable_good, stable - length, stable)
        candidate = _by_second(trace.bad, trace.good, end - length, end)
        shift = candidate.mean(0) - baseline.mean(0)
        open_still = np.flatnonzero((rejected == trace.ticks) & (candidate.mean(0) > 1.25 * baseline.mean(0)))
        if len(open_still):
            moved = candidate[:, open_still] - 0.25 * shift[open_still]
            test = stats.mannwhitneyu(
                moved, baseline[:, open_still], axis=0, alternative="greater", method="asymptotic"
            )
            rejected[open_still[test.pvalue < 0.01]] = end - 1
    return rejected


def _by_second(bad: Counts, good: Counts, begin: int, end: int) -> npt.NDArray[np.float64]:
    shape = (-1, SECOND, bad.shape[1])
    failed, fine = (each[begin:end].reshape(shape).sum(1) for each in (bad, good))
    share: npt.NDArray[np.float64] = failed / np.maximum(1, failed + fine)
    return share


def peeking(trace: Trace, z: float = 1.96, least: int = 20) -> Ticks:
    """At every tick: does the 95 % Wilson interval of the share so far lie above the limit? From 20 requests on."""
    rejected = np.full(trace.bad.shape[1], trace.ticks)
    for tick in range(trace.ticks):
        bad = trace.window("bad", 0, tick + 1)
        total = np.maximum(1, bad + trace.window("good", 0, tick + 1))
        share = bad / total
        middle = share + z * z / (2 * total)
        half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
        lower = (middle - half) / (1 + z * z / total)
        rejected[(lower > LIMIT) & (total >= least) & (rejected == trace.ticks)] = tick
    return rejected


OURS = "this gate"
RULES: dict[str, Rule] = {
    OURS: lambda trace: ours(trace).rejected,
    "60 s window": fixed_window,
    "Argo Rollouts": argo,
    "Flagger": flagger,
    "Flagger 30 s × 2": flagger_quick,
    "Kayenta-style": kayenta,
    "Wilson, peeking": peeking,
}


def one_by_one(trace: Trace, alpha: float = ALPHA) -> list[tuple[int, bool]]:
    """What gate.judging.detection itself says of each deployment: its tick of rejection, whether it accepts."""
    verdicts = []
    for number in range(trace.bad.shape[1]):
        stream = detection.Stream(alpha=alpha)
        rejected = trace.ticks
        stable_bad, stable_good = (
            np.concatenate([[0], counts[:, number].cumsum()]) for counts in (trace.stable_bad, trace.stable_good)
        )
        starts = dict(zip(np.cumsum([0, *(step.ticks for step in trace.steps)]).tolist(), trace.steps, strict=False))
        for tick in range(trace.ticks):
            if tick in starts:
                begin(stream, starts[tick])
            bad = int(stable_bad[BEFORE + tick])
            p0 = detection.tolerated(bad, bad + int(stable_good[BEFORE + tick]))
            stream.add(int(trace.bad[tick, number]), int(trace.good[tick, number]), p0)
            if stream.rejected:
                rejected = tick
                break
        verdicts.append((rejected, stream.accepted))
    return verdicts
