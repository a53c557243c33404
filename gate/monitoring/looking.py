"""One look at the release that serves: its critical smoke tests at the front door, and the rules that can be asked now.

Nothing here acts. What could not be asked is HOLD, unless nothing is there to be asked: then it is a note.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gate.config import Environment
from gate.deployment.view import View
from gate.engines.base import Engine, Instance
from gate.engines.probing import field_at
from gate.judging import rules, verdict
from gate.judging.confirm import Confirmation
from gate.judging.limits import Rule, Unit, show
from gate.live.histogram import Histogram
from gate.live.observations import Blind, Identified, Observation
from gate.live.reasons import reason, unmeasured
from gate.live.states import UNHEALTHY_IN_A_ROW, States
from gate.machine import shell
from gate.monitoring.phases import moment
from gate.records.store import Deployment
from gate.releases import known
from gate.results import Case, Decision, Reason, Severity, SuiteResult, Verdict
from gate.routing.traffic import request_log
from gate.signals.access_log import AccessLog
from gate.signals.review import Review, review
from gate.suites import suite
from gate.suites.context import FRONT, Context
from gate.suites.suite import Stop, never
from gate.watching.looks import Looks, asked_by_the_gate
from gate.watching.watch import LOG_LAG, LOOK

_LOOKS_WITHIN = 60.0
"""Seconds for all looks of a tick; a service that hangs takes seconds for each."""
_FROM_THE_LOG = ("error_rate", "response_time", "log_error_rate")
_LEAST = 60.0  # seconds of the log that are read, where the clock was set back


@dataclass
class Seen:
    """What a tick saw: ``reasons`` for its decision, GO among them, and ``notes`` on what it could not ask."""

    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """The worst of the reasons, those that decided first; without any: HOLD."""
        order = list(Decision)
        ordered = sorted(self.reasons, key=lambda item: order.index(item.decision), reverse=True)
        return Verdict(Decision.worst([item.decision for item in ordered]), tuple(ordered))


def look(
    environment: Environment,
    engine: Engine,
    deployment: Deployment,
    since: datetime,
    now: datetime,
    *,
    view: View,
    stop: Stop = never,
) -> Seen:
    """Looks at what ``deployment`` made serve; ``since``: from when on users' requests count. Raises GateError.

    ``stop`` is asked all the time; once it gives a reason, what is left is not asked any more.
    """
    seen = Seen()
    serving = engine.stable()
    if serving is None:
        seen.reasons.append(Reason("services_lost", Decision.ROLLBACK, "traffic points at nothing", 1, "> 0", 1))
        return seen
    if serving.digest != deployment.digest:
        text = f"traffic points at {serving.version} ({serving.id}), by the records {deployment.version} serves"
        seen.reasons.append(Reason("wrong_identity", Decision.HOLD, text))
        return seen
    log = UsersLog(environment, since, now, serving.id)
    view.progress("health, identity, resources, data")
    seen.reasons += states_now(environment, engine, serving, stop=stop)
    if not stop():
        seen.reasons += _judged(environment, deployment, serving, view, seen.notes, stop=stop)
    seen.reasons += log.judged(seen.notes)
    return seen


def states_now(
    environment: Environment, engine: Engine, serving: Instance, *, every: float = LOOK, stop: Stop = never
) -> list[Reason]:
    """What is so at this moment: health, who answers, resources, disk, data; each asked as often as its rule wants,
    with ``every`` seconds between two looks."""
    began = time.monotonic()
    states = States(lambda signal: _rule(environment, signal))
    looks = Looks(environment, engine, serving, None, lambda: time.monotonic() - began)
    wanted = looks.wanted
    times = max(UNHEALTHY_IN_A_ROW, _rule(environment, "cpu").min_n, _rule(environment, "memory").min_n)
    blind: dict[str, str] = {}
    looked: list[None] = []

    def take(found: Iterator[Observation]) -> None:
        for item in found:
            states.take(item)
            if isinstance(item, Blind):
                blind[item.what] = item.text

    def enough() -> bool:
        take(looks.often())
        looked.append(None)
        return len(looked) >= times or bool(stop())

    take(looks.seldom())
    take(_at_the_front_door(environment, engine, serving))
    shell.wait_until(enough, timeout=_LOOKS_WITHIN, every=every)
    found = {item.text: item for item in (*states.against(), *states.at_the_end())}
    asked = [signal for signal in wanted.signals if signal not in _FROM_THE_LOG]
    missing = [signal for signal in asked if not states.measured_since(signal, 0.0, wanted.services)]
    told = {item.signal for item in found.values()}
    return [
        *found.values(),
        *(unmeasured(_rule(environment, name), blind.get(name, "was not measured")) for name in missing),
        *(
            reason(_rule(environment, name), Decision.GO, 0, 1, "nothing found")
            for name in asked
            if name not in told and name not in missing
        ),
    ]


def _at_the_front_door(environment: Environment, engine: Engine, serving: Instance) -> Iterator[Observation]:
    """Who answers each service's users."""
    door = engine.endpoint(None)
    for name, service in environment.routed().items():
        if service.identity is None:
            continue
        said = field_at(door, service.identity)
        if said is None:
            yield Blind(0.0, "wrong_identity", f"{service.identity} of {name} at the front door does not say")
        else:
            yield Identified(0.0, serving.version, str(said))


def _judged(
    environment: Environment, deployment: Deployment, serving: Instance, view: View, notes: list[str], *, stop: Stop
) -> tuple[Reason, ...]:
    """The critical smoke tests at the front door; a failure is confirmed once, what passes then is told as flaky."""
    context = Context(
        environment=environment.name,
        phase=FRONT,
        deployment=deployment.id,
        release=known(serving.version, serving.digest, serving.commit, Path(serving.folder)),
        instance=serving.id,
        only=(Severity.CRITICAL,),
    )

    def forgiven(case: Case) -> None:
        notes.append(f"flaky: {case.title or case.id}: {case.confirmation}")

    def decide(so_far: SuiteResult) -> Verdict | None:
        return verdict.decided(so_far, environment.all_rules)

    result = suite.run(
        environment,
        context,
        environment.smoke.folders,
        environment.state_folder / "monitoring",
        on_case=view.case,
        on_planned=view.planned,
        decide=decide,
        confirmation=Confirmation(None, begins=lambda _: None, forgiven=forgiven),
        stop=stop,
    )
    return verdict.after(result, environment.all_rules).reasons


class UsersLog:
    """What users were answered up to now. It is judged once requests of our own were made: that the log shows them is
    what makes it believed, and they do not count."""

    def __init__(self, environment: Environment, since: datetime, now: datetime, serving: str | None = None) -> None:
        self._environment = environment
        self._following: AccessLog | None = None
        if getattr(environment.engine, "requests", "") is None:
            return
        self._file, own, until = request_log(environment), asked_by_the_gate(environment), now.timestamp()
        self._found = review(self._file, min(since.timestamp(), until - _LEAST), until, own, serving=serving)
        self._following = AccessLog(self._file, {}, until, own, redact=self._environment.redactor)

    def judged(self, notes: list[str]) -> list[Reason]:
        following = self._following
        if following is None:
            notes.append("error_rate and response_time: not judged, for [engine] requests names no log of requests")
            return []

        def shows_ours() -> bool:
            following.read()
            return following.lines > 0

        try:
            alive = shell.wait_until(shows_ours, timeout=LOG_LAG, every=0.1)
        finally:
            following.close()
        rule = _rule(self._environment, "error_rate")
        if self._found.fault or not alive:
            silent = f"{self._file} does not show the requests that were just made"
            return [unmeasured(rule, self._found.fault or silent)]
        times = _rule(self._environment, "response_time")
        return [*of_requests(rule, self._found, notes), *of_times(times, self._found, notes)]


def of_requests(rule: Rule, found: Review, notes: list[str]) -> list[Reason]:
    """The error rate of users' requests. With fewer than the rule's ``min_n`` it is judged only by what is bad: then it
    is inconclusive; few and none of them bad is a note, for nobody has to come at night."""
    share = found.errors / found.requests if found.requests else 0.0
    text = (
        f"{found.errors} of {found.requests} requests failed since {moment(datetime.fromtimestamp(found.since, UTC))}"
    )
    if found.requests >= rule.min_n:
        return [reason(rule, rule.decide(share, found.requests), share, found.requests, text)]
    if (rule.go is not None and not rule.go.holds(share)) or (rule.rollback is not None and rule.rollback.holds(share)):
        return [reason(rule, Decision.HOLD, share, found.requests, f"{text}; fewer than {rule.min_n} decide nothing")]
    notes.append(f"error_rate: not judged, {text}, and it takes {rule.min_n}")
    return []


def of_times(rule: Rule, found: Review, notes: list[str]) -> list[Reason]:
    """The 95th percentile of how long users' requests took."""
    times = Histogram()
    for milliseconds, many in found.milliseconds.items():
        times.add(milliseconds, many)
    p95 = times.quantile(0.95)
    if p95 is None or times.total < rule.min_n:
        notes.append(f"response_time: not judged, {times.total} requests were timed, and it takes {rule.min_n}")
        return []
    text = f"p95 of {times.total} requests, {show(p95 / 1000, Unit.SECONDS)}"
    return [reason(rule, rule.decide(p95 / 1000, times.total), p95 / 1000, times.total, text)]


def _rule(environment: Environment, signal: str) -> Rule:
    return next(rule for rule in (*environment.all_rules, *rules.DEFAULTS) if rule.signal == signal)
