"""Yes-or-no signals of every request (it failed, it was too slow), tested on the whole and per route.

The tests are those of ``gate.judging.detection``. What is tolerated comes from stable's own share; when stable is bad
at the same time, the release is not to blame.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gate.judging import detection
from gate.judging.limits import Rule, Statistic
from gate.live.observations import TICK, Requests, Role
from gate.live.reasons import reason, unmeasured
from gate.results import Decision, Reason

WHOLE = ""
"""The name of all routes together."""
BLAMELESS = math.log(100)
"""Evidence against stable (natural logarithm of a likelihood ratio) from which on a fault is not the candidate's."""
_Z = 3.09  # of the standard normal distribution, 99.9 % one-sided
_NO_CHANCE = 2  # bad requests of a route that are not called chance
_LATELY = 20  # ticks that a reason tells of when the fault began late

Counts = tuple[int, int]  # bad, good


@dataclass
class _Seen:
    bad: int = 0
    total: int = 0

    def add(self, counts: Counts) -> None:
        self.bad += counts[0]
        self.total += sum(counts)


@dataclass
class _Route:
    """One route, or all of them: the candidate's test, stable's, and what both were seen to do."""

    candidate: detection.Stream
    stable: detection.Stream
    candidate_seen: _Seen = field(default_factory=_Seen)
    stable_seen: _Seen = field(default_factory=_Seen)
    lately: deque[Counts] = field(default_factory=lambda: deque(maxlen=_LATELY))
    bad_ticks: int = 0
    """Ticks in which a request of the candidate was bad."""


class Tested(NamedTuple):
    """What a test is between: the share that is always tolerated, and the one that must be caught."""

    floor: float
    bad_share: float

    @staticmethod
    def of(rule: Rule, floor: float, bad_share: float) -> Tested:
        """What a rule's limits say, and the defaults where they say nothing; one limit alone tells the other."""
        if rule.statistic is Statistic.SHARE:  # compared as it stands; the test only tells how much traffic is needed
            return Tested(floor, bad_share)
        if rule.rollback is not None:
            bad_share = rule.rollback.value
        return Tested(rule.go.value if rule.go is not None else min(floor, bad_share / 5), bad_share)


class Shares:
    """One signal.

    Nothing is decided against the candidate from fewer than ``least`` requests, for the first ones of a cold instance
    are slow together, nor from bad ones that ended in fewer than ``apart`` ticks: one moment in which everything stood
    still is no fault of many requests. ``told`` is the sentence about ``{bad}`` of ``{requests}``; ``value`` the figure
    told where it is not the share itself; ``example`` ends the sentence.
    """

    def __init__(
        self,
        rule: Rule,
        told: str,
        *,
        alpha: float,
        tested: Tested,
        least: int = 1,
        apart: int = 1,
        value: Callable[[], float] | None = None,
        example: Callable[[], str] = str,
    ) -> None:
        self.rule = rule
        self._told = told
        self._least = least
        self._apart = apart
        self._value = value
        self._example = example
        self._alpha = alpha
        self._floor, self._bad_share = tested
        self._before: dict[str, _Seen] = defaultdict(_Seen)
        self._routes: dict[str, _Route] = {}
        self._step: tuple[float, int] | None = None
        self._before_step = 0  # requests of the candidate
        self._route(WHOLE)

    def begin(self, share: float, seconds: float) -> None:
        """A step of ``seconds`` begins; with all the traffic (``share`` 1) it is the last."""
        self._step = share, max(1, round(seconds / TICK))
        self._before_step = self._routes[WHOLE].candidate_seen.total
        for route in self._routes.values():
            self._tell(route)

    def remember(self, route: str, counts: Counts) -> None:
        """What stable did before the watch began."""
        self._before[route].add(counts)
        self._before[WHOLE].add(counts)

    def take(self, tick: Mapping[tuple[Role, str], Counts], *, tolerated: float = 0.0) -> None:
        """One tick of traffic: ``(bad, good)`` by role and route. At least ``tolerated`` is healthy in it."""
        whole: dict[Role, Counts] = {}
        for (role, name), counts in tick.items():
            if name != WHOLE:
                self._add(name, role, counts, tolerated)
            bad, good = whole.get(role, (0, 0))
            whole[role] = (bad + counts[0], good + counts[1])
        for role, counts in whole.items():
            self._add(WHOLE, role, counts, tolerated)

    def against(self, excused: bool) -> list[Reason]:
        """What speaks against the candidate now: ROLLBACK; HOLD where stable is as bad, or ``excused`` for ailing."""
        found = {name: route for name, route in self._routes.items() if self._rejected(route)}
        alone = [name for name in found if name and found[name].candidate_seen == self._routes[WHOLE].candidate_seen]
        if alone:  # one route is all the traffic: it is named, and told once
            found.pop(WHOLE, None)
        return [
            self._reason(
                name,
                route,
                Decision.HOLD if (stable_bad := excused or self._blameless(name, route)) else Decision.ROLLBACK,
                stable_bad=stable_bad,
            )
            for name, route in found.items()
        ]

    def shadowed(self) -> list[Reason]:
        """What a rule on dry run says against the candidate; nothing where the rule decides."""
        return self.against(excused=False) if self.rule.dry_run else []

    @property
    def accepted(self) -> bool:
        """Whether enough good requests were seen to call the candidate healthy."""
        whole = self._routes[WHOLE]
        if self.rule.statistic is Statistic.SHARE:
            seen = whole.candidate_seen
            return seen.total > 0 and self.rule.decide(seen.bad / seen.total, seen.total) is Decision.GO
        return whole.candidate.accepted and self._lacking == 0

    @property
    def _lacking(self) -> int:
        """Requests without which nothing is called healthy. The last step owes its own: a fault may start late."""
        last = self._step is not None and self._step[0] >= 1
        seen = self._routes[WHOLE].candidate_seen.total - (self._before_step if last else 0)
        return max(0, self.rule.min_n - seen)

    def at_the_end(self, *, last: bool) -> Reason:
        """What is to say once a step's time is over and nothing spoke against the candidate.

        Before the ``last`` step enough requests that speak for it will do; the proof is owed at the end.
        """
        shadow = self.shadowed()
        if shadow:
            return shadow[0]
        whole = self._routes[WHOLE]
        seen, tolerated = whole.candidate_seen, self._tolerated(WHOLE, whole)
        promising = not last and seen.total >= self.rule.min_n and whole.candidate.evidence_good > 0
        if not self.accepted and not promising:
            told = whole.candidate.needed_clean(tolerated) is not None
            if not seen.bad or self._lacking:
                more = f"about {self.needed} more are needed" if told else "and nothing can be told from it"
                share = " with all the traffic" if last and self._before_step else ""
                n = seen.total - (self._before_step if last else 0)
                text = f"too little traffic: {_counted(n)} reached the candidate{share}, {more}"
                return unmeasured(self.rule, text, n)
            return self._reason(WHOLE, whole, Decision.HOLD)
        if not self.accepted:
            found = self._told.format(bad=seen.bad, requests=_counted(seen.total))
            text = f"{self.rule.signal}: {found}, so far more good than bad"
            return Reason(
                self.rule.signal, Decision.GO, text, seen.bad / seen.total, "", seen.total, self.rule.severity
            )
        ailing = self._ailing_route() if last else None
        if ailing is not None:
            return self._reason(ailing, self._routes[ailing], Decision.HOLD)
        # Healthier than what must be caught, yet surely worse than what is tolerated: between the two limits.
        between = at_least(seen.bad, seen.total) > tolerated
        # Stable may be so bad that a share beyond the limit is tolerated: nobody is to blame, and nobody calls it good.
        limit = self.rule.rollback
        beyond = limit is not None and seen.total > 0 and limit.holds(seen.bad / seen.total)
        decision = Decision.HOLD if last and (between or beyond) else Decision.GO
        return self._reason(WHOLE, whole, decision, stable_bad=beyond and tolerated > self._floor)

    def between(self) -> list[Reason]:
        """HOLD where the candidate is surely worse than GO allows, though not proven bad; nothing otherwise."""
        whole = self._routes[WHOLE]
        seen = whole.candidate_seen
        if seen.total < max(1, self._least) or at_least(seen.bad, seen.total) <= self._tolerated(WHOLE, whole):
            return []
        return [self._reason(WHOLE, whole, Decision.HOLD)]

    def _ailing_route(self) -> str | None:
        """A route with too few requests for its test, of which nearly all are bad, and not on stable."""
        for name, route in self._routes.items():
            seen = route.candidate_seen
            if name == WHOLE or seen.bad < _NO_CHANCE or self._blameless(name, route):
                continue
            if at_least(seen.bad, seen.total) > max(self._bad_share, self._tolerated(name, route)):
                return name
        return None

    @property
    def needed(self) -> int:
        """Good requests still needed to call the candidate healthy."""
        whole = self._routes[WHOLE]
        return max(0, self._lacking, whole.candidate.needed_clean(self._tolerated(WHOLE, whole)) or 0)

    @property
    def evidence(self) -> tuple[float, float]:
        """Log-likelihood ratios over all routes, each as a share of its bound: that it is bad, that it is healthy."""
        stream = self._routes[WHOLE].candidate
        return stream.evidence_bad / stream.bound_bad, stream.evidence_good / stream.bound_good

    def _add(self, name: str, role: Role, counts: Counts, tolerated: float) -> None:
        if not sum(counts):
            return
        route = self._route(name)
        if role is Role.CANDIDATE:
            route.candidate.add(*counts, min(1.0, max(tolerated, self._tolerated(name, route))))
            route.candidate_seen.add(counts)
            route.bad_ticks += counts[0] > 0
            route.lately.append(counts)
        else:
            before = self._before[name]
            route.stable.add(*counts, detection.tolerated(before.bad, before.total, self._floor))
            route.stable_seen.add(counts)

    def _tolerated(self, name: str, route: _Route) -> float:
        before, now = self._before[name], route.stable_seen
        return detection.tolerated(before.bad + now.bad, before.total + now.total, self._floor)

    def _route(self, name: str) -> _Route:
        known = self._routes.get(name)
        if known is None:
            # Half of what may go wrong belongs to the whole, the other half to the routes in order of appearance.
            half = self._alpha / 2
            alpha = half if name == WHOLE else detection.share_of(half, len(self._routes))
            known = self._routes[name] = _Route(self._stream(alpha), self._stream(alpha))
            self._tell(known)
        return known

    def _tell(self, route: _Route) -> None:
        if self._step is None:
            return
        share, ticks = self._step
        for stream in (route.candidate, route.stable):
            if share < 1:
                stream.begin_step(ticks)
            else:
                stream.begin_bake(ticks)

    def _stream(self, alpha: float) -> detection.Stream:
        return detection.Stream(alpha=alpha, beta=detection.BETA, bad_share=self._bad_share)

    def _rejected(self, route: _Route) -> bool:
        if self.rule.statistic is Statistic.SHARE:
            seen = route.candidate_seen
            return seen.total > 0 and self.rule.decide(seen.bad / seen.total, seen.total) is Decision.ROLLBACK
        enough = route.candidate_seen.total >= self._least and route.bad_ticks >= self._apart
        return route.candidate.rejected and enough

    def _blameless(self, name: str, route: _Route) -> bool:
        """Whether stable is surely bad itself: now, or by all that is known of it while that is too little to trust."""
        if route.stable.evidence_bad >= BLAMELESS:
            return True
        before, now = self._before[name], route.stable_seen
        bad, total = before.bad + now.bad, before.total + now.total
        few = before.total < detection.TRUSTED  # from there on its share is what is tolerated
        return few and at_least(bad, total) > self._floor

    def _reason(self, name: str, route: _Route, decision: Decision, *, stable_bad: bool = False) -> Reason:
        seen = route.candidate_seen
        recent = _Seen()
        for counts in route.lately:
            recent.add(counts)
        late = recent.total and seen.total > recent.total and recent.bad / recent.total > 2 * seen.bad / seen.total
        told = recent if late and decision is not Decision.GO else seen
        requests = f"{'the last ' if told is recent else ''}{_counted(told.total)}"
        text = self._told.format(bad=told.bad, requests=requests)
        if name:
            text += f" on {name}"
        stable = _Seen(
            self._before[name].bad + route.stable_seen.bad, self._before[name].total + route.stable_seen.total
        )
        if stable.total:
            text += f"; stable {100 * stable.bad / stable.total:.2g} % of {stable.total}"
        value = self._value() if self._value is not None else told.bad / max(1, told.total)
        if decision is Decision.HOLD and stable_bad:
            text += "; stable is bad at the same time, so the release is not to blame"
        elif decision is Decision.GO and self.rule.go is not None and not self.rule.go.holds(value):
            text += "; above that limit, yet no worse than twice stable's share"
        text += self._example()
        return reason(self.rule, decision, value, told.total, text)


def _counted(requests: int) -> str:
    return f"{requests} request" if requests == 1 else f"{requests} requests"


def summed(counted: Iterable[tuple[Requests, Counts]]) -> dict[tuple[Role, str], Counts]:
    """What was counted in each row of a tick, by role and route."""
    found: dict[tuple[Role, str], Counts] = {}
    for item, (bad, good) in counted:
        before = found.get((item.role, item.route), (0, 0))
        found[item.role, item.route] = (before[0] + bad, before[1] + good)
    return found


def at_least(bad: int, total: int) -> float:
    """Lower end of Wilson's interval of a share, one-sided at 99.9 % (Wilson 1927)."""
    if not total:
        return 0.0
    share, z = bad / total, _Z
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (centre - spread) / (1 + z * z / total)
