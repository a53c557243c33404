"""Watches a candidate under live traffic: reads the signals, judges them, and writes every observation down.

Three threads of its own: one reads logs and judges, ten times a second; the others ask what may answer slowly: one
health, identity and resources, one the data. A release that hangs never delays the judgement of the requests it fails,
nor does a large table delay the look at who is alive.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gate.config import Environment
from gate.engines.base import Engine, Instance
from gate.live.judge import Judge, Standing
from gate.live.observations import TICK, Blind, Heard, Kept, Moment, Observation, Requests, Role, TrafficStep
from gate.results import Decision, Reason
from gate.routing.traffic import request_log
from gate.signals.access_log import AccessLog
from gate.signals.application_log import ErrorWatch
from gate.watching.looks import Looks, asked_by_the_gate
from gate.watching.watched import Rows

LOOK = 1.0
"""Seconds between two looks at health, identity and resources."""
BEFORE = 600.0
"""Seconds of stable's traffic before the watch that its usual error rate and latency are read from."""
_FIRST_LOOK = 1.0  # seconds of a step before its traffic is called little
_RATE_OVER = 5.0  # seconds that the rate of users' requests is measured over
LOG_LAG = 3.0
"""Seconds after which a request of our own must stand in the proxy's log, or the log is dead."""


class Watch:
    """One watch over one candidate, written down below ``folder``.

    ``stable`` None: a first deployment, nothing to compare with. ``held``: over a release that waits for a person.
    ``resting``: stable runs no more, or cannot live on the schema as it is; what it was counts, and what it does now
    excuses nothing.
    """

    def __init__(
        self,
        environment: Environment,
        engine: Engine,
        candidate: Instance,
        stable: Instance | None,
        folder: Path,
        *,
        held: bool = False,
        resting: bool = False,
    ) -> None:
        self._candidate = candidate
        self._stable = None if resting else stable
        self.origin = time.time()
        """When it began, in seconds since the epoch: where observations count their time from."""
        self._zero = time.monotonic()
        self._rows = Rows(folder, self.origin, held=held, redact=environment.redactor)
        self._judge = Judge(environment.all_rules)
        self._incoming: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._standing = Standing(None)
        self._step: TrafficStep | None = None
        self._users: deque[tuple[float, int]] = deque()
        self.lasted = 0.0
        self._asked: deque[float] = deque()  # requests of our own that the proxy's log has not shown yet
        self._heard_at = 0.0
        self._told_unheard = False
        roles = {candidate.id: Role.CANDIDATE} | ({stable.id: Role.STABLE} if stable else {})
        # A load balancer of the team's may know a release by its version alone.
        versions = ({stable.version: Role.STABLE} if stable else {}) | {candidate.version: Role.CANDIDATE}
        names, own = versions | roles, asked_by_the_gate(environment)
        self._requests = AccessLog(request_log(environment), names, self.origin, own, redact=environment.redactor)
        self._lines = [ErrorWatch(engine.follow(one), _patterns(environment), roles[one.id]) for one in self._both()]
        self._judging_thread = self._thread("watching", self._judging)
        self._looking_threads = [
            self._thread("looking", lambda: self._looking(self._looks.often)),
            self._thread("looking at the data", lambda: self._looking(self._looks.seldom)),
        ]
        self._looks = Looks(environment, engine, candidate, self._stable, self._now)

    def begin(self, share: float, seconds: float) -> None:
        """The candidate has ``share`` of the traffic from now on, to be watched for at most ``seconds``."""
        with self._lock:
            self._step = TrafficStep(self._now(), share, seconds)
            self._take([self._step])
            self._looks.ask_everything_next()
            for lines in self._lines:
                lines.again()
            if not self._ended.is_set():  # a watch that broke holds every step
                self._standing = Standing(None)

    def kept(self) -> None:
        """A person keeps what was held: what holds it now does not hold the next step."""
        with self._lock:
            self._take([Kept(self._now())])

    @property
    def standing(self) -> Standing:
        """How the candidate stands on the present step; once it is decided it can only get worse."""
        return self._standing

    @property
    def wants_traffic(self) -> bool:
        """Whether users send too little to call the candidate healthy before the present step ends."""
        with self._lock:
            step, now = self._step, self._now()
            if step is None or self._standing.decision is not None or not self._judge.undecided:
                return False
            if now - step.at < _FIRST_LOOK:
                return False
            since = max(step.at, now - _RATE_OVER)
            rate = sum(count for at, count in self._users if at >= since) / (now - since)
            return rate * max(0.0, step.at + step.seconds - now) < self._judge.needed

    @property
    def step(self) -> TrafficStep | None:
        """The present step; None before the first."""
        return self._step

    @property
    def progress(self) -> str:
        """One line on how far the present step is."""
        step = self._step
        if step is None:
            return ""
        left = max(0.0, step.at + step.seconds - self._now())
        bad, good = self._judge.evidence
        return f"{step.share:.0%} of traffic, {left:.0f} s left, healthy {_percent(good)}, bad {_percent(bad)} proven"

    def start(self) -> None:
        """Begins to watch in the background."""
        self._take([self._looks.wanted, *self._requests.before(BEFORE)])
        self._judging_thread.start()
        for thread in self._looking_threads:
            thread.start()

    def stop(self) -> None:
        """Ends the watch; what was seen stays in the file.

        A look that still waits for an answer is not waited for: traffic has to go back now. Nor does a disk that takes
        nothing any more stand in its way.
        """
        self._ended.set()
        self._judging_thread.join(timeout=5)
        with self._lock, suppress(OSError):
            self._rows.close()

    def _judging(self) -> None:
        while not self._ended.wait(TICK):
            with self._lock:
                if not self._ended.is_set():
                    self._tick()

    def _tick(self) -> None:
        before = self._requests.lines
        requests = self._requests.read()
        self._count(requests)
        seen: list[Observation] = [*requests]
        while not self._incoming.empty():
            seen.append(self._incoming.get())
        at = self._now()
        if self._requests.lines > before:
            self._heard_at = at
        seen += [lines for watch in self._lines for lines in watch.read(at)]
        silent = self._unheard(at)
        self._take([*seen, *silent])
        if self._standing.decision is Decision.ROLLBACK:
            return
        standing = self._judge.standing(at)
        if standing.decision is Decision.ROLLBACK and self._stable is not None:
            # Before anybody is blamed: stable may be in the same trouble, and without traffic only asking tells.
            self._take(self._looks.stable_now(within=1.0))
            standing = self._judge.standing(at)
        self._take([Moment(at)])
        decided = self._standing.decision
        if decided is None:
            self._standing = standing
            self.lasted = at - self._step.at if self._step else 0.0
        elif standing.decision is not None and Decision.worst([decided, standing.decision]) is not decided:
            self._standing = standing

    def _count(self, seen: Iterable[Requests | Blind]) -> None:
        """Keeps how many users' requests reached the candidate lately."""
        self._users += [
            (item.at, item.count)
            for item in seen
            if isinstance(item, Requests) and item.role is Role.CANDIDATE and not item.synthetic
        ]
        while self._users and self._users[0][0] < self._now() - 2 * _RATE_OVER:
            self._users.popleft()

    def _unheard(self, at: float) -> list[Blind | Heard]:
        """Whether the proxy's log shows the requests that the looks make: else users' are not seen either.

        Only whether it grows counts, by this process's own clock; the machine's may be set while we watch.
        """
        while self._looks.probed:
            self._asked.append(self._looks.probed.popleft())
        while self._asked and self._asked[0] <= self._heard_at:
            self._asked.popleft()
        found: list[Blind | Heard] = []
        while self._asked and at - self._asked[0] >= LOG_LAG:
            self._asked.popleft()
            found.append(Blind(at, "error_rate", "the proxy's access log does not show a request that was just made"))
        if found:
            self._told_unheard = True
        elif self._told_unheard and at - self._heard_at < LOOK:
            self._told_unheard = False
            found.append(Heard(at))
        return found

    def _looking(self, look: Callable[[], Iterator[Observation]]) -> None:
        while not self._ended.wait(LOOK):
            for seen in look():
                self._incoming.put(seen)

    def _take(self, seen: Iterable[Observation]) -> None:
        seen = list(seen)
        for item in seen:
            self._judge.take(item)
        self._rows.write(seen)

    def _guarded(self, act: Callable[[], None]) -> None:
        """A watch that broke sees nothing more, and what sees nothing is never a GO."""
        try:
            act()
        except Exception as fault:  # noqa: BLE001 - it is told, and holds the deployment
            text = f"the watch itself broke: {type(fault).__name__}: {fault}"
            with self._lock:
                self._ended.set()
                if self._standing.decision is not Decision.ROLLBACK:
                    self._standing = Standing(Decision.HOLD, (Reason("watch", Decision.HOLD, text),))

    def _thread(self, name: str, act: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guarded, args=(act,), name=name, daemon=True)

    def _both(self) -> list[Instance]:
        return [self._candidate, *([self._stable] if self._stable else [])]

    def _now(self) -> float:
        return time.monotonic() - self._zero


def _patterns(environment: Environment) -> dict[str, str]:
    return {name: service.log_errors for name, service in environment.services.items()}


def _percent(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0):.0%}"
