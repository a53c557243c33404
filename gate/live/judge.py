"""Folds observations into one standing: go on watching, or GO, HOLD, ROLLBACK with every reason in numbers.

The same observations in the same order give the same answer, live and in ``replay``. The worst decision wins.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gate import detection
from gate import rules as known_rules
from gate.limits import Rule, Statistic
from gate.live.histogram import Histogram
from gate.live.reasons import reason, unmeasured
from gate.live.shares import WHOLE, Counts, Shares, Tested, at_least
from gate.live.states import States
from gate.observations import ErrorLines, Kept, Observation, Requests, Role, TrafficStep, Wanted
from gate.results import Decision, Reason

_SLOW_P0 = 0.01  # tolerated share of requests beyond the limit on p95
_SLOW_P1 = 0.05  # a 95th percentile beyond the limit is 5 % of the requests beyond it
_SHIFT_FACTOR, _SHIFT_LEAST = 2.0, 100.0  # slower than stable: beyond twice its p95, and 100 ms more
_EXAMPLE = 160  # characters of a log line that are told
_SENT = ("error_rate", "response_time", "log_error_rate")  # measured by what users send, not by a look
GRACE = 20.0
"""Seconds that a step whose time is over waits for a look that has not answered yet, at a large table say."""
_LATELY = 20  # rows of which the slowest request is told
_NOTHING = "nothing was found"
_SHIFT_NEEDS = 50  # requests of stable on a route before it is a measure


@dataclass(frozen=True)
class Standing:
    """How the candidate stands. ``decision`` None: go on watching."""

    decision: Decision | None
    reasons: tuple[Reason, ...] = ()


class Judge:
    """Judges one candidate over all its traffic steps."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.signal: rule for rule in (*known_rules.DEFAULTS, *rules)}
        sixth = detection.ALPHA / 6
        self._errors = Shares(
            self._rules["error_rate"],
            "{bad} of {requests} failed",
            alpha=2 * sixth,
            tested=_tested(self._rules["error_rate"], detection.FLOOR, detection.BAD_SHARE),
        )
        slow = self._rules["response_time"]
        self._slow = Shares(
            slow,
            "{bad} of {requests} took longer",
            alpha=sixth,
            tested=Tested(_SLOW_P0, _SLOW_P1),
            least=slow.min_n,
            value=lambda: max(self._slowest, default=0.0) / 1000,
        )
        gone = self._rules["gone_rate"]
        self._gone = Shares(
            gone,
            "{bad} of {requests} were given up by the client before the answer",
            alpha=sixth,
            tested=_tested(gone, 0.05, 0.2),
            least=gone.min_n,
        )
        lines = self._rules["log_error_rate"]
        self._logged = Shares(
            lines,
            "{bad} error lines in {requests}",
            alpha=sixth,
            tested=_tested(lines, detection.FLOOR, detection.BAD_SHARE),
            example=lambda: f"; the first: {self._first_line[:_EXAMPLE]}" if self._first_line else "",
        )
        shift = self._rules["slower_than_stable"]
        self._shift = Shares(
            shift,
            "{bad} of {requests} were slower than nearly all of stable's",
            alpha=sixth,
            tested=_tested(shift, 0.1, 0.5),
            least=shift.min_n,
        )
        self._families = (self._errors, self._gone, self._slow, self._shift, self._logged)
        self._states = States(self._rules.__getitem__)
        self._stable_times: dict[str, Histogram] = {}
        self._times: dict[str, Histogram] = {WHOLE: Histogram()}
        self._slowest: deque[float] = deque(maxlen=_LATELY)
        self._step: TrafficStep | None = None
        self._wanted: tuple[str, ...] = ()
        self._services: tuple[str, ...] = ()
        self._tick: list[Requests] = []
        self._lines: Counter[Role] = Counter()
        self._stable_lines: int | None = None  # since the watch began; None: nobody reads stable's log
        self._closed_at = 0.0
        self._first_line = ""

    def take(self, seen: Observation) -> None:
        """One observation; those of one tick before ``standing`` is asked."""
        match seen:
            case TrafficStep():
                self._begin(seen)
            case Wanted():
                self._wanted, self._services = seen.signals, seen.services
            case Requests() if seen.at < 0 and seen.role is Role.STABLE:  # a clock set back makes new lines look old
                self._remember(seen)
            case Requests():
                self._tick.append(seen)
            case ErrorLines():
                self._read(seen)
            case Kept():
                self._states.forget_unread()
                self._times = {WHOLE: Histogram()}
            case _:
                self._states.take(seen)

    def standing(self, at: float) -> Standing:
        """The decision at ``at``, seconds since the watch began."""
        self._close_tick(at)
        against = self._against()
        worst = Decision.worst([item.decision for item in against]) if against else Decision.GO
        if worst is not Decision.GO:
            return Standing(worst, tuple(item for item in against if item.decision is worst))
        step = self._step
        if step is None:
            return Standing(None)
        over = at >= step.at + step.seconds
        if not over and not (step.share < 1 and self._proven_early(step)):
            return Standing(None)
        reasons = self._at_the_end(step)
        worst = Decision.worst([item.decision for item in reasons])
        if worst is Decision.GO:
            return Standing(Decision.GO, tuple(reasons))
        if not over or (self._on_its_way(step, reasons) and at < step.at + step.seconds + GRACE):
            return Standing(None)
        return Standing(worst, tuple(item for item in reasons if item.decision is worst))

    def _on_its_way(self, step: TrafficStep, reasons: Sequence[Reason]) -> bool:
        """Whether nothing is missing but a look: one that takes longer than a short step, or has to be repeated."""
        held = {item.signal for item in reasons if item.decision is not Decision.GO}
        late = {
            signal
            for signal in self._wanted
            if self._states.unread(signal) or (signal not in _SENT and not self._measured(signal, step))
        }
        return held <= late

    @property
    def evidence(self) -> tuple[float, float]:
        """Of the error rate, each as a share of its bound: that the candidate is bad, that it is healthy."""
        return self._errors.evidence

    @property
    def undecided(self) -> bool:
        """Whether too few requests reached the candidate so far to call it healthy."""
        return not self._errors.accepted or self._times[WHOLE].total < self._rules["response_time"].min_n

    @property
    def needed(self) -> int:
        """Requests that still have to reach the candidate, all of them good, to call it healthy."""
        return max(self._errors.needed, self._rules["response_time"].min_n - self._times[WHOLE].total)

    def _begin(self, step: TrafficStep) -> None:
        self._close_tick(step.at)  # what came before belongs to the step before
        self._step = step
        for family in self._families:
            family.begin(step.share, step.seconds)

    def _remember(self, seen: Requests) -> None:
        self._errors.remember(seen.route, (seen.errors, seen.count - seen.errors))
        self._gone.remember(seen.route, (seen.gone, seen.count))
        slow = self._too_slow(seen)
        self._slow.remember(seen.route, (slow, seen.count - slow))
        self._time_stable(seen)

    def _close_tick(self, at: float) -> None:
        tick, self._tick = self._tick, []
        self._close_logs(tick, at)
        if not tick:
            return
        self._errors.take(_sum((item, (item.errors, item.count - item.errors)) for item in tick))
        self._gone.take(_sum((item, (item.gone, item.count)) for item in tick))
        slow = ((item, self._too_slow(item)) for item in tick)
        self._slow.take(_sum((item, (bad, item.count - bad)) for item, bad in slow))
        # Only beside stable: later a load of its own would look like the candidate's fault.
        if self._step is not None and self._step.share < 1:
            self._shift.take(_sum((item, self._shifted(item)) for item in tick if item.role is Role.CANDIDATE))
        for item in tick:
            if item.role is Role.STABLE:
                self._time_stable(item)
            else:
                # The proxy's clock is the machine's, which may be set forward: nothing is seen before it happens.
                self._states.saw("error_rate", min(item.at, at))
                self._states.saw("response_time", min(item.at, at))
                self._slowest.append(max((ms for ms, _ in item.milliseconds), default=0.0))
                for times in (self._times[WHOLE], self._times.setdefault(item.route, Histogram())):
                    for milliseconds, many in item.milliseconds:
                        times.add(milliseconds, many)

    def _read(self, seen: ErrorLines) -> None:
        self._states.saw("log_error_rate", seen.at, seen.role)
        if seen.role is Role.CANDIDATE:
            self._first_line = self._first_line or seen.first
        else:
            self._stable_lines = (self._stable_lines or 0) + seen.count
        self._lines[seen.role] += seen.count

    def _close_logs(self, tick: Sequence[Requests], at: float) -> None:
        """Error lines against the requests of the same tick; without any, what is written at once counts as one."""
        spent, self._closed_at = max(0.0, at - self._closed_at), at
        lines, self._lines = self._lines, Counter()
        answered = Counter[Role]()
        for item in tick:
            answered[item.role] += item.count
        counts = {}
        for role in answered.keys() | lines.keys():
            bad = min(lines[role], max(1, answered[role]))
            counts[role, WHOLE] = (bad, max(0, answered[role] - bad))
        usual = 2 * self._lines_a_second(at) * spent / max(1, answered[Role.CANDIDATE])
        self._logged.take(counts, tolerated=usual)

    def _lines_a_second(self, at: float) -> float:
        """Error lines that stable writes whatever its traffic is: a worker's come with time, not with requests.

        Two standard errors of a Poisson count are added, for in the first seconds little is known of it.
        """
        if self._stable_lines is None or at <= 0:
            return 0.0
        return (self._stable_lines + 2 * math.sqrt(self._stable_lines + 1)) / at

    def _time_stable(self, seen: Requests) -> None:
        times = self._stable_times.setdefault(seen.route, Histogram())
        for milliseconds, many in seen.milliseconds:
            times.add(milliseconds, many)

    def _too_slow(self, seen: Requests) -> int:
        limit = self._rules["response_time"].rollback
        return sum(many for ms, many in seen.milliseconds if limit is not None and limit.holds(ms / 1000))

    def _shifted(self, seen: Requests) -> Counts:
        times = self._stable_times.get(seen.route)
        usual = times.quantile(0.95) if times is not None and times.total >= _SHIFT_NEEDS else None
        if usual is None:
            return 0, 0
        limit = max(_SHIFT_FACTOR * usual, usual + _SHIFT_LEAST)
        slow = sum(many for ms, many in seen.milliseconds if ms > limit)
        return slow, sum(many for _, many in seen.milliseconds) - slow

    def _against(self) -> list[Reason]:
        excused = self._states.stable_ails
        return [*(item for family in self._families for item in family.against(excused)), *self._states.against()]

    def _proven_early(self, step: TrafficStep) -> bool:
        """Whether a step with a share of the traffic need not last its whole time."""
        return not self.undecided and all(self._measured(signal, step) for signal in self._wanted)

    def _measured(self, signal: str, step: TrafficStep) -> bool:
        # A log without error lines says so once, when it is opened.
        since = 0.0 if signal == "log_error_rate" else step.at
        return self._states.measured_since(signal, since, self._services)

    def _at_the_end(self, step: TrafficStep) -> list[Reason]:
        last = step.share >= 1
        found = [self._errors.at_the_end(last=last), *self._latency(), *self._states.at_the_end()]
        if "log_error_rate" in self._wanted:
            found.append(self._logged.at_the_end(last=last))
        for family in (self._gone, self._shift):
            found += family.shadowed() or family.between()
        told = {item.signal for item in found}
        for signal in self._wanted:
            if self._states.unread(signal):
                found.append(unmeasured(self._rules[signal], "could not be read when it was tried last"))
            elif not self._measured(signal, step):
                found.append(unmeasured(self._rules[signal], "was not measured"))
            elif signal not in told:
                found.append(self._states.shadowed(signal) or reason(self._rules[signal], Decision.GO, 0, 1, _NOTHING))
        return found

    def _latency(self) -> list[Reason]:
        """The 95th percentile of all requests, and of every route that is surely slow where stable is not."""
        rule = self._rules["response_time"]
        whole = self._times[WHOLE]
        if whole.total < rule.min_n:
            return [unmeasured(rule, f"too little traffic: {whole.total} requests, {rule.min_n} are needed")]
        slow = [name for name in self._times if name != WHOLE and self._surely_slow(rule, name)]
        return [item for name in (WHOLE, *slow) for item in self._p95(rule, name)]

    def _surely_slow(self, rule: Rule, name: str) -> bool:
        """Whether more than 5 % of a route's requests are beyond GO, with 99.9 % certainty, and stable's are not.

        A percentile of 20 requests is two of them: looked at route by route, one would always be slow by chance.
        """
        times, go = self._times[name], rule.go
        if go is None or times.total < rule.min_n or self._stable_is_slow(name):
            return False
        slow = times.count(lambda milliseconds: not go.holds(milliseconds / 1000))
        return at_least(slow, times.total) > _SLOW_P1

    def _p95(self, rule: Rule, name: str) -> list[Reason]:
        times = self._times[name]
        p95 = times.quantile(0.95)
        if p95 is None:
            return []
        decision = rule.decide(p95 / 1000, times.total)
        # The test on the limit has not decided against it: what one look at the end finds beyond it is inconclusive.
        decision = Decision.HOLD if decision is Decision.ROLLBACK else decision
        text = f"95th percentile of {times.total} requests{f' on {name}' if name else ''}"
        return [reason(rule, decision, p95 / 1000, times.total, text)]

    def _stable_is_slow(self, name: str) -> bool:
        """Whether stable is known to be slower on a route than GO allows: then this release is not why."""
        times = self._stable_times.get(name)
        if times is None or times.total < self._rules["response_time"].min_n:
            return False
        p95, go = times.quantile(0.95), self._rules["response_time"].go
        return p95 is not None and go is not None and not go.holds(p95 / 1000)


def _sum(counted: Iterable[tuple[Requests, Counts]]) -> dict[tuple[Role, str], Counts]:
    found: dict[tuple[Role, str], Counts] = {}
    for item, (bad, good) in counted:
        before = found.get((item.role, item.route), (0, 0))
        found[item.role, item.route] = (before[0] + bad, before[1] + good)
    return found


def _tested(rule: Rule, floor: float, bad_share: float) -> Tested:
    """What a rule's test tolerates and must catch. A limit that is left out follows from the other one."""
    if rule.statistic is Statistic.SHARE:  # compared as it stands; the test only tells how much traffic is needed
        return Tested(floor, bad_share)
    if rule.rollback is not None:
        bad_share = rule.rollback.value
    return Tested(rule.go.value if rule.go is not None else min(floor, bad_share / 5), bad_share)
