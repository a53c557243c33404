"""Folds observations into one standing: go on watching, or GO, HOLD, ROLLBACK with every reason in numbers.

The same observations in the same order give the same answer, live and in ``replay``. The worst decision wins.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gate.judging import detection
from gate.judging import rules as known_rules
from gate.judging.limits import Rule
from gate.live.latency import Latency
from gate.live.observations import ErrorLines, Kept, Observation, Requests, Role, TrafficStep, Wanted
from gate.live.reasons import reason, unmeasured
from gate.live.shares import WHOLE, Shares, Tested, summed
from gate.live.states import States
from gate.results import Decision, Reason

_EXAMPLE = 160  # characters of a log line that are told
_SENT = ("error_rate", "response_time")  # measured by what users send, not by a look
GRACE = 20.0
"""Seconds that a step whose time is over waits for a look that has not answered yet, at a large table say."""
_SEEN = 2.0  # times the limit on the response time
_NOTHING = "nothing was found"


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
            tested=Tested.of(self._rules["error_rate"], detection.FLOOR, detection.BAD_SHARE),
        )
        gone = self._rules["gone_rate"]
        self._gone = Shares(
            gone,
            "{bad} of {requests} were given up by the client before the answer",
            alpha=sixth,
            tested=Tested.of(gone, 0.05, 0.2),
            least=gone.min_n,
        )
        lines = self._rules["log_error_rate"]
        self._logged = Shares(
            lines,
            "{bad} error lines in {requests}",
            alpha=sixth,
            tested=Tested.of(lines, detection.FLOOR, detection.BAD_SHARE),
            example=lambda: f"; the first: {self._first_line[:_EXAMPLE]}" if self._first_line else "",
        )
        self._latency = Latency(self._rules["response_time"], self._rules["slower_than_stable"], alpha=sixth)
        self._families = (self._errors, self._gone, *self._latency.families, self._logged)
        self._states = States(self._rules.__getitem__)
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
                self._latency.forget()
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
        if not over and not (step.share < 1 and self._proven_early(step, at)):
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
        return not self._errors.accepted or self._latency.needed > 0

    @property
    def needed(self) -> int:
        """Requests that still have to reach the candidate, all of them good, to call it healthy."""
        return max(self._errors.needed, self._latency.needed)

    def _begin(self, step: TrafficStep) -> None:
        self._close_tick(step.at)  # what came before belongs to the step before
        self._step = step
        for family in self._families:
            family.begin(step.share, step.seconds)

    def _remember(self, seen: Requests) -> None:
        self._errors.remember(seen.route, (seen.errors, seen.count - seen.errors))
        self._gone.remember(seen.route, (seen.gone, seen.count))
        self._latency.remember(seen)

    def _close_tick(self, at: float) -> None:
        tick, self._tick = self._tick, []
        self._close_logs(tick, at)
        if not tick:
            return
        self._errors.take(summed((item, (item.errors, item.count - item.errors)) for item in tick))
        self._gone.take(summed((item, (item.gone, item.count)) for item in tick))
        self._latency.take(tick, at, beside_stable=self._step is not None and self._step.share < 1)
        for item in tick:
            if item.role is Role.CANDIDATE:
                # The proxy's clock is the machine's, which may be set forward: nothing is seen before it happens.
                self._states.saw("error_rate", min(item.at, at))
                self._states.saw("response_time", min(item.at, at))

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

    def _against(self) -> list[Reason]:
        excused = self._states.stable_ails
        return [*(item for family in self._families for item in family.against(excused)), *self._states.against()]

    def _proven_early(self, step: TrafficStep, at: float) -> bool:
        """Whether a step with a share of the traffic need not last its whole time.

        A request is seen when it ends, so the slow ones come last: those that take up to ``_SEEN`` times as long as is
        tolerated must have had the time.
        """
        limit = self._rules["response_time"].rollback
        if limit is not None and at - step.at < _SEEN * limit.value:
            return False
        return not self.undecided and all(self._measured(signal, step) for signal in self._wanted)

    def _measured(self, signal: str, step: TrafficStep) -> bool:
        return self._states.measured_since(signal, step.at, self._services)

    def _at_the_end(self, step: TrafficStep) -> list[Reason]:
        last = step.share >= 1
        found = [self._errors.at_the_end(last=last), *self._latency.at_the_end(), *self._states.at_the_end()]
        if "log_error_rate" in self._wanted:
            found.append(self._logged.at_the_end(last=last))
        for family in (self._gone, self._latency.families[1]):
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
