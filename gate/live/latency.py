"""How long the candidate's answers take: against the limits of the table, and against stable's at the same time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

from gate.judging.limits import Rule
from gate.live.histogram import Histogram
from gate.live.observations import Requests, Role
from gate.live.reasons import reason, unmeasured
from gate.live.shares import WHOLE, Counts, Shares, Tested, at_least, summed
from gate.results import Decision, Reason

_SLOW_P0 = 0.01  # tolerated share of requests beyond the limit on p95
_SLOW_P1 = 0.05  # a 95th percentile beyond the limit is 5 % of the requests beyond it
_SHIFT_FACTOR, _SHIFT_LEAST = 2.0, 100.0  # slower than stable: beyond twice its p95, and 100 ms more
_SHIFT_NEEDS = 50  # requests of stable on a route before it is a measure
_LATELY = 20  # rows of which the slowest request is told
_TOGETHER = 1.0  # seconds within which what slows stable slows the candidate too: a disk or a processor they share
_APART = 5  # ticks in which slow requests must have ended


class Latency:
    """Two tests, ``families``: of requests beyond the limit, and of those slower than nearly all of stable's.

    ``alpha`` is the chance of a false rollback that each of the two may have.
    """

    def __init__(self, limit: Rule, beside: Rule, *, alpha: float) -> None:
        self._limit = limit
        self._slow = Shares(
            limit,
            "{bad} of {requests} took longer",
            alpha=alpha,
            tested=Tested(_SLOW_P0, _SLOW_P1),
            least=limit.min_n,
            apart=_APART,
            value=lambda: max(self._slowest, default=0.0) / 1000,
        )
        self._shift = Shares(
            beside,
            "{bad} of {requests} were slower than nearly all of stable's",
            alpha=alpha,
            tested=Tested.of(beside, 0.1, 0.5),
            least=beside.min_n,
            apart=_APART,
        )
        self._stable_times: dict[str, Histogram] = {}
        self._times: dict[str, Histogram] = {WHOLE: Histogram()}
        self._slowest: deque[float] = deque(maxlen=_LATELY)
        self._stable_lately: deque[tuple[float, Counts]] = deque()

    @property
    def families(self) -> tuple[Shares, Shares]:
        """The test against the limit, and the one against stable."""
        return self._slow, self._shift

    @property
    def needed(self) -> int:
        """Requests that still have to reach the candidate before their 95th percentile is one."""
        return max(0, self._limit.min_n - self._times[WHOLE].total)

    def forget(self) -> None:
        """A person knows how slow it was, and goes on: percentiles begin anew."""
        self._times = {WHOLE: Histogram()}

    def remember(self, seen: Requests) -> None:
        """What stable answered before the watch began."""
        slow = self._too_slow(seen)
        self._slow.remember(seen.route, (slow, seen.count - slow))
        self._time_stable(seen)

    def take(self, tick: Sequence[Requests], at: float, *, beside_stable: bool) -> None:
        """One tick of traffic; ``beside_stable``: stable has its share of the same load."""
        slow = ((item, self._too_slow(item)) for item in tick)
        self._slow.take(summed((item, (bad, item.count - bad)) for item, bad in slow))
        if beside_stable:  # later a load of its own would look like the candidate's fault
            shifted = [(item, self._shifted(item)) for item in tick]
            together = self._slowed_together((counts for item, counts in shifted if item.role is Role.STABLE), at)
            self._shift.take(summed(shifted), tolerated=together)
        for item in tick:
            if item.role is Role.STABLE:
                self._time_stable(item)
                continue
            self._slowest.append(max((ms for ms, _ in item.milliseconds), default=0.0))
            for times in (self._times[WHOLE], self._times.setdefault(item.route, Histogram())):
                for milliseconds, many in item.milliseconds:
                    times.add(milliseconds, many)

    def at_the_end(self) -> list[Reason]:
        """The 95th percentile of all requests, and of every route that is surely slow where stable is not."""
        whole = self._times[WHOLE]
        if whole.total < self._limit.min_n:
            text = f"too little traffic: {whole.total} requests, {self._limit.min_n} are needed"
            return [unmeasured(self._limit, text, whole.total)]
        slow = [name for name in self._times if name != WHOLE and self._surely_slow(name)]
        return [item for name in (WHOLE, *slow) for item in self._p95(name)]

    def _slowed_together(self, counted: Iterable[Counts], at: float) -> float:
        """Twice the share of stable's requests of the last second that were slower than usual, with a standard error:
        what is tolerated of the candidate's in this moment."""
        self._stable_lately += [(at, counts) for counts in counted]
        while self._stable_lately and self._stable_lately[0][0] < at - _TOGETHER:
            self._stable_lately.popleft()
        bad = sum(counts[0] for _, counts in self._stable_lately)
        total = bad + sum(counts[1] for _, counts in self._stable_lately)
        if not total:
            return 0.0
        share = bad / total
        return 2 * (share + math.sqrt(share * (1 - share) / total))

    def _time_stable(self, seen: Requests) -> None:
        times = self._stable_times.setdefault(seen.route, Histogram())
        for milliseconds, many in seen.milliseconds:
            times.add(milliseconds, many)

    def _too_slow(self, seen: Requests) -> int:
        limit = self._limit.rollback
        return sum(many for ms, many in seen.milliseconds if limit is not None and limit.holds(ms / 1000))

    def _shifted(self, seen: Requests) -> Counts:
        times = self._stable_times.get(seen.route)
        usual = times.quantile(0.95) if times is not None and times.total >= _SHIFT_NEEDS else None
        if usual is None:
            return 0, 0
        limit = max(_SHIFT_FACTOR * usual, usual + _SHIFT_LEAST)
        slow = sum(many for ms, many in seen.milliseconds if ms > limit)
        return slow, sum(many for _, many in seen.milliseconds) - slow

    def _surely_slow(self, name: str) -> bool:
        """Whether more than 5 % of a route's requests are beyond GO, with 99.9 % certainty, and stable's are not.

        A percentile of 20 requests is two of them: looked at route by route, one would always be slow by chance.
        """
        times, go = self._times[name], self._limit.go
        if go is None or times.total < self._limit.min_n or self._stable_is_slow(name):
            return False
        slow = times.count(lambda milliseconds: not go.holds(milliseconds / 1000))
        return at_least(slow, times.total) > _SLOW_P1

    def _p95(self, name: str) -> list[Reason]:
        times = self._times[name]
        p95 = times.quantile(0.95)
        if p95 is None:
            return []
        decision = self._limit.decide(p95 / 1000, times.total)
        # The test on the limit has not decided against it: what one look at the end finds beyond it is inconclusive.
        decision = Decision.HOLD if decision is Decision.ROLLBACK else decision
        text = f"95th percentile of {times.total} requests{f' on {name}' if name else ''}"
        return [reason(self._limit, decision, p95 / 1000, times.total, text)]

    def _stable_is_slow(self, name: str) -> bool:
        """Whether stable is known to be slower on a route than GO allows: then this release is not why."""
        times = self._stable_times.get(name)
        if times is None or times.total < self._limit.min_n:
            return False
        p95, go = times.quantile(0.95), self._limit.go
        return p95 is not None and go is not None and not go.holds(p95 / 1000)
