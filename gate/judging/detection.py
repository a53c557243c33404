"""Is one yes/no signal of the candidate (a request failed, a request was slow) worse than tolerated? Pure.

A request is bad with probability p. Healthy is p <= p0 (``tolerated``), a fault is p >= p1 (``bad_share``). Both
answers are likelihood ratios that may be looked at after every request without losing their error rate, as Wald's
sequential test may (Wald 1945), because neither grows on average while it is wrong:

- against: a stake of 1 is bet on faults of three sizes that begin with the watch, with a step or within it. What the
  bets are worth grows on average under no p <= p0, so P(ever >= 1/alpha) <= alpha (Ville 1939). The sum over the times
  a fault may begin is Shiryaev's and Roberts' detection of a change (Shiryaev 1963, Roberts 1966).
- for: the likelihood of p0 over p1's reaches 1/beta with probability <= beta while p >= p1.

docs/detection.md derives both.
"""

from __future__ import annotations

import math
from functools import lru_cache

ALPHA = 1e-3
"""Chance that a healthy release is ever rolled back, over the whole watch and all its signals."""
BETA = 0.02
"""Chance that a release with a fault of at least ``BAD_SHARE`` is ever accepted."""
BAD_SHARE = 0.05
"""The share of errors that must be caught."""
FLOOR = 0.01
"""The share of errors that is healthy whatever stable's rate is."""
TRUSTED = 100
"""Requests from which on stable's own rate is believed."""

# How the stake is divided. Any division keeps the error rates; this one finds faults of 20 % soonest.
SIZES = (0.2, 0.6, 0.2)
"""The part of each bet that is on each size of ``faults``."""
_AT_ONCE = 0.5  # on faults that are there from the first request
_STEP = 0.25  # of what is kept, in each step: half on faults that begin with it, half spread evenly over its ticks
_BAKE = 0.9  # the same in the last step; a little is kept for a watch that goes on
_TICKS = 300  # the length of a step until one is told

_HOPELESS = 0.9  # where so much is tolerated, nothing can be told from it
_ODDS = math.log(5)  # between one size of fault and the next


def tolerated(stable_bad: int, stable_total: int, floor: float = FLOOR) -> float:
    """The share still called healthy: twice stable's, at least ``floor``; ``floor`` where stable answered < 100.

    Stable's share is an estimate, too: its standard error (Wald's) is added, or a release that is no worse than twice
    as bad would be tested against less than that on a site with little traffic.
    """
    if stable_total < TRUSTED:
        return floor
    share = stable_bad / stable_total
    return min(1.0, max(floor, 2 * (share + math.sqrt(share * (1 - share) / stable_total))))


def share_of(alpha: float, rank: int) -> float:
    """The part of ``alpha`` for the signal that was the ``rank``-th to appear (from 1).

    The parts add up to ``alpha`` however many appear, for the sum of 1/(r(r+1)) is 1.
    """
    return alpha / (rank * (rank + 1))


def faults(tolerated: float, bad_share: float) -> tuple[float, ...]:
    """The sizes of fault that are bet on: p1, and 5 and 25 times its odds (5, 21, 57 %; or 50, 83, 96 %).

    p1 is ``bad_share``, or twice ``tolerated`` (at most 90 %) where that is more: nearer ones take too long to tell.
    Empty where 90 % and more is tolerated: then nothing can be told.
    """
    if tolerated >= _HOPELESS:
        return ()
    least = max(bad_share, min(_HOPELESS, 2 * tolerated))
    odds = math.log(least / (1 - least))
    return (least, *(1 / (1 + math.exp(-odds - more * _ODDS)) for more in (1, 2)))


@lru_cache(maxsize=1024)
def gains(tolerated: float, bad_share: float) -> tuple[tuple[float, float], ...]:
    """What a bad and a good request add to the log-likelihood ratio of each size of fault over ``tolerated``."""
    sizes = faults(tolerated, bad_share)
    if not sizes:
        return ((0.0, 0.0),) * len(SIZES)
    return tuple((math.log(size / tolerated), math.log((1 - size) / (1 - tolerated))) for size in sizes)


class Stakes:
    """How much of a stake of 1 is bet, tick by tick, on a fault that begins there. Knows nothing of what is seen."""

    def __init__(self) -> None:
        self.kept = 1.0
        """Not bet yet."""
        self._next = 0.0  # bet with the next tick
        self._each = 0.0  # bet with each of the next _ticks
        self._ticks = 0
        self._length = _TICKS
        self._put(_AT_ONCE)

    def begin_step(self, ticks: int) -> None:
        """A step of ``ticks`` begins."""
        self._begin(ticks, self.kept * _STEP)

    def begin_bake(self, ticks: int) -> None:
        """The last step begins. If it lasts longer than ``ticks``, betting goes on with parts of what is kept."""
        self._begin(ticks, self.kept * _BAKE)

    def next(self) -> float:
        """What is bet with the tick that comes now."""
        if not self._ticks:
            self._spread(self._length, self.kept * _STEP / 2)
        self._ticks -= 1
        self._put(self._each)
        stake, self._next = self._next, 0.0
        return stake

    def _begin(self, ticks: int, stake: float) -> None:
        if ticks < 1:
            raise ValueError(f"a step of {ticks} ticks")
        self._put(stake / 2)
        self._spread(ticks, stake / 2)

    def _put(self, stake: float) -> None:
        self._next += stake
        self.kept -= stake

    def _spread(self, ticks: int, stake: float) -> None:
        self._each, self._ticks, self._length = stake / ticks, ticks, ticks


class Stream:
    """The evidence of one signal over the whole watch: ``add`` each tick, and say when a step and the bake begin.

    ``alpha`` and ``beta`` bound the chances of a false rejection and of a false acceptance, at any time. Evidence and
    bounds are natural logarithms.
    """

    def __init__(self, *, alpha: float = ALPHA, beta: float = BETA, bad_share: float = BAD_SHARE) -> None:
        if not (0 < alpha < 1 and 0 < beta < 1 and 0 < bad_share < _HOPELESS):
            raise ValueError(f"alpha {alpha:g}, beta {beta:g}: between 0 and 1; bad share {bad_share:g}: below 0.9")
        self.bound_bad = -math.log(alpha)
        self.bound_good = -math.log(beta)
        self.evidence_bad = 0.0
        self.evidence_good = 0.0
        self.requests = 0
        self.bad = 0
        self.rejected = False
        self._bad_share = bad_share
        self._stakes = Stakes()
        self._worth = [-math.inf] * len(SIZES)  # logarithms of what the bets on each size are worth now

    @property
    def accepted(self) -> bool:
        """The evidence for healthy stands at its bound now. Requests that fail later take it back."""
        return self.evidence_good >= self.bound_good and not self.rejected

    def begin_step(self, ticks: int) -> None:
        """A step planned to last ``ticks`` begins: a fault may begin with it, or at any tick in it."""
        self._stakes.begin_step(ticks)

    def begin_bake(self, ticks: int) -> None:
        """The last step begins, and is watched for ``ticks``."""
        self._stakes.begin_bake(ticks)

    def add(self, bad: int, good: int, tolerated: float) -> None:
        """One tick: what was seen in it, and the share tolerated, which must have been known before it.

        Raises ValueError for counts below 0 and for a share outside 0 to 1: 0 would make one bad request proof.
        """
        if bad < 0 or good < 0 or not 0 < tolerated <= 1:
            raise ValueError(f"{bad} bad and {good} good at {tolerated:g} tolerated cannot be judged")
        self.requests += bad + good
        self.bad += bad
        grown = [bad * by_bad + good * by_good for by_bad, by_good in gains(tolerated, self._bad_share)]
        stake = self._stakes.next()
        for number, part in enumerate(SIZES):
            self._worth[number] = _log_sum(self._worth[number], _log(stake * part)) + grown[number]
        self.evidence_bad = _log_sum(*self._worth, _log(self._stakes.kept))
        self.rejected |= self.evidence_bad >= self.bound_bad
        # Not more than twice the bound is saved up, so that a fault which begins late soon takes it away.
        self.evidence_good = min(self.evidence_good - grown[0], 2 * self.bound_good)

    def needed_clean(self, tolerated: float) -> int | None:
        """Good requests in a row still needed to accept; None where it is rejected or nothing can be told."""
        _, by_good = gains(tolerated, self._bad_share)[0]
        if self.rejected or by_good == 0:
            return None
        return max(0, math.ceil((self.bound_good - self.evidence_good) / -by_good))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _log_sum(*logs: float) -> float:
    """Logarithm of the sum of what ``logs`` are the logarithms of."""
    most = max(logs)
    return most + math.log(sum(math.exp(each - most) for each in logs)) if most > -math.inf else most
