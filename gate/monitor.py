"""The monitoring of a release after its deployment: runs the tick that is due, keeps it, and acts on it by policy.

Safe to call every minute: without a tick that is due it asks nothing, locks nothing and ends at once. A tick is kept
before anything is done about it; who was killed in between is followed by one who looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from typing import Any

from gate import engines, holding, monitored, serving, tick, ticks
from gate.answers import Answer
from gate.config import Environment
from gate.errors import GateError, Locked, OperationFailed, UsageError
from gate.monitored import Watched
from gate.phases import Due, Tick, moment, offsets
from gate.results import Decision, Outcome, Reason
from gate.store import Deployment, Store
from gate.tick import Seen
from gate.view import View

Look = Callable[[Deployment, datetime, datetime], Seen]
"""Looks at what a deployment made serve: users' requests count from the first time on, the second is now."""
Alert = Callable[[str, Sequence[str], Deployment], None]
"""Tells people who are not here: what is wrong in one sentence, why, and with what."""


_FIGURES = ("coverage", "error_rate", "response_time")
"""Signals that are told of a green tick; its record has all."""


class Monitor:
    """The command ``monitor`` on one environment."""

    def __init__(
        self,
        environment: Environment,
        *,
        say: Callable[[str], None],
        page: Callable[[str], None],
        view: View,
        door: str,
        locked: Callable[[str], AbstractContextManager[Store]],
        roll_back: Callable[[Store, Sequence[Reason]], Answer],
        report: Callable[[Store, Watched, datetime], None],
        alert: Alert | None = None,
        look: Look | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._environment = environment
        self._say = say
        self._page = page
        self._view = view
        self._door = f"{door} {environment.name}"
        self._locked = locked
        self._roll_back = roll_back
        self._report = report
        self._alert_people = alert
        self._look = look or self._look_now
        self._clock = clock
        self._told = ""

    def run(self) -> Answer:
        """Runs the tick that is due, if one is.

        DONE (0): nothing was due, or the tick is green. ROLLED_BACK (1), ROLLBACK_FAILED (4): a red one, within
        ``rollback_in``. LOCKED (5): another run has the environment. HELD (6): a red one later, or one that could not
        tell: a person decides. Raises UsageError where nothing is to be monitored, Locked where a dead run has to be
        recovered first, OperationFailed.
        """
        if not self._environment.monitoring.phases:
            shown = self._environment.file.relative_to(self._environment.root)
            raise UsageError(
                f"{shown}: [monitoring] phases: is empty, so nothing is monitored",
                next_step=f'write phases = ["15m for 2h", "1h for 24h", "1d for 7d"] under [monitoring] in {shown}',
            )
        found = self._found(Store.of(self._environment))
        if found is None or found.standing.due is None:
            return self._nothing_due(found)
        with ExitStack() as stack:
            try:
                store = stack.enter_context(self._locked("monitoring"))
            except Locked as fault:
                return self._busy(found, str(fault), fault.next_step or "")
            return self._under_the_lock(store, found)

    def _under_the_lock(self, store: Store, found: Watched | None) -> Answer:
        held = holding.find(store)
        if held is not None:
            keep = f"{self._door} keep   or   {self._door} rollback"
            return self._busy(found, held.told(self._environment), keep)
        open_one = store.unfinished()
        if open_one is not None:
            ended = "could not be undone" if open_one.outcome is Outcome.ROLLBACK_FAILED else "died unfinished"
            raise Locked(
                f"deployment {open_one.id} ({open_one.version}) {ended}: nothing is monitored until that has an end",
                next_step=f"{self._door} recover",
            )
        found = self._found(store)
        due = found.standing.due if found is not None else None
        if found is None or due is None:  # another one has looked meanwhile
            return self._nothing_due(found)
        made, reasons = self._tick(store, found, due)
        looked = monitored.of(self._environment, store, found.deployment, self._clock())
        answer = self._act(store, looked, made, reasons)
        try:
            at = self._clock()
            self._report(store, monitored.of(self._environment, store, found.deployment, at), at)
        except Exception as fault:  # noqa: BLE001 - a report that fails never changes an outcome; it is told
            self._say(f"the report could not be written: {type(fault).__name__}: {fault}")
        return answer

    def _found(self, store: Store) -> Watched | None:
        found = monitored.now(self._environment, store, self._clock())
        missed = monitored.missed(self._environment, found) if found is not None else ""
        if missed and missed != self._told:
            self._told = missed
            self._say(missed)
        return found

    def _busy(self, found: Watched | None, why: str, next_step: str) -> Answer:
        """Somebody else has the environment and will let go of it: no fault of anybody's."""
        self._say(f"{why}; the tick that is due waits for the next call")
        return self._answer(Outcome.LOCKED, found, reasons=[why], next_step=next_step)

    def _tick(self, store: Store, found: Watched, due: Due) -> tuple[Tick, tuple[Reason, ...]]:
        """Looks, and keeps what was seen."""
        before = found.standing.ticks[-1].ended_at if found.standing.ticks else found.released_at
        # A deployment that was undone meanwhile, a pause, a restore: what users saw of that was not this release's.
        runs = (datetime.fromisoformat(item.ended_at) for item in store.deployments(1) if item.ended_at is not None)
        before = max([before, *runs])
        name = f"tick {due.slot + 1} of {found.standing.planned}"
        at = self._clock()
        if due.why:
            self._say(f"{name}: {due.why}")
        self._view.step(name)
        try:
            seen = self._look(found.deployment, before, at)
        except OperationFailed as fault:
            seen = Seen([Reason("monitoring", Decision.HOLD, f"nothing could be looked at: {fault}")])
        judged, scrub = seen.verdict, self._environment.redactor
        seconds = max(0.0, (self._clock() - at).total_seconds())
        deciding = [item for item in judged.reasons if item.decision is judged.decision]
        texts = tuple(scrub(item.text) for item in deciding)
        made = Tick(found.deployment.id, due.slot, at, seconds, judged.decision, texts, tuple(map(scrub, seen.notes)))
        made = ticks.add(store, made)
        if judged.decision is Decision.GO:
            figures = [scrub(item.text) for item in deciding if item.signal in _FIGURES]
            self._view.done(name, "; ".join(["green", *figures]), seconds)
        else:
            self._view.failed(name, [f"{_word(judged.decision)}: {text}" for text in texts], seconds)
        for note in made.notes:
            self._view.note(note)
        return made, tuple(deciding)

    def _act(self, store: Store, found: Watched, made: Tick, reasons: Sequence[Reason]) -> Answer:
        if made.decision is Decision.GO:
            self._say(self._until_next(found))
            return self._answer(None, found, made)
        why_not = self._may_not_roll_back(found, made)
        if made.decision is Decision.ROLLBACK and not why_not:
            try:
                answer = self._roll_back(store, reasons)
            except GateError as fault:
                why_not = f"it could not be rolled back: {fault}"
            else:
                return self._after_rollback(store, found, made, answer)
        self._alert(found, made, why_not)
        self._remember(store, made, f"alerted; {why_not}" if why_not else "alerted")
        back = f"{self._door} rollback   or   {self._door} status"
        return self._answer(Outcome.HELD, found, made, reasons=list(made.reasons), next_step=back)

    def _may_not_roll_back(self, found: Watched, made: Tick) -> str:
        """Why a red tick only alerts; empty: it rolls back."""
        if made.decision is not Decision.ROLLBACK:
            return ""
        limit = self._environment.monitoring.rollback_in
        age = self._age(found, made)
        plan = offsets(self._environment.monitoring.phases)
        step = plan[made.slot] - (plan[made.slot - 1] if made.slot else 0.0)
        if found.deployment.action != "deploy":
            return f"{found.deployment.version} came by a rollback, and nobody rolls back a rollback"
        # What was due at the limit is called a little after it.
        if age > (limit + step if plan[made.slot] <= limit else limit):
            return f"it is {_told(age)} after the release, and [monitoring] rollback_in is {_told(limit)}"
        return ""

    def _age(self, found: Watched, made: Tick) -> float:
        """Seconds since the release; by the plan where the clock was set back."""
        plan = offsets(self._environment.monitoring.phases)
        return max((made.at - found.released_at).total_seconds(), plan[made.slot])

    def _after_rollback(self, store: Store, found: Watched, made: Tick, answer: Answer) -> Answer:
        self._remember(
            store, made, f"rolled back by policy: {answer.outcome} (deployment {answer.document['deployment']})"
        )
        if answer.outcome is not Outcome.ROLLED_BACK:
            self._alert(found, made, f"the rollback ended as {answer.outcome}")
        else:
            self._page(f"{self._environment.name}: {found.deployment.version} was rolled back by its monitoring:")
            for text in made.reasons:
                self._page(f"  why   {text}")
        return Answer(answer.outcome, {**answer.document, "monitoring": self._document(found, made)})

    def _alert(self, found: Watched, made: Tick, why_not: str) -> None:
        """A page: what is wrong, why nothing was done about it, whom to call and what to type."""
        version = found.deployment.version
        word = "is bad" if made.decision is Decision.ROLLBACK else "may be bad: the look at it is inconclusive"
        title = f"{version} {word}, {_told(self._age(found, made))} after its release"
        if self._alert_people is not None:
            unmended = [f"not rolled back: {why_not}"] if why_not else []
            self._alert_people(title, [*made.reasons, *unmended], found.deployment)
        self._page(f"ALERT {self._environment.name}: {title}")
        for text in made.reasons:
            self._page(f"  why   {text}")
        if why_not:
            self._page(f"  not rolled back: {why_not}")
        for role, contact in self._environment.contacts.items():
            self._page(f"  call  {role}: {contact}")
        self._page(f"  next  {self._door} rollback   or   {self._door} status")

    def _remember(self, store: Store, made: Tick, what: str) -> None:
        """What was done stays done, also where it cannot be written down."""
        try:
            ticks.acted(store, made, what)
        except OperationFailed as fault:
            self._say(f"not recorded: {what}: {fault}")

    def _nothing_due(self, found: Watched | None) -> Answer:
        if found is None:
            self._say("nothing was released here yet, so there is nothing to monitor")
        else:
            self._say(f"nothing is due. {self._until_next(found)}")
        return self._answer(None, found)

    def _until_next(self, found: Watched) -> str:
        at = found.standing.next_at
        ends = f"the next tick is due at {moment(at)}" if at is not None else "that was the last tick of the plan"
        return f"{found.deployment.version} (deployment {found.deployment.id}): {found.standing}; {ends}"

    def _answer(
        self,
        outcome: Outcome | None,
        found: Watched | None,
        made: Tick | None = None,
        *,
        reasons: Sequence[str] = (),
        next_step: str = "",
    ) -> Answer:
        deployment = found.deployment if found is not None else None
        document = {
            "outcome": str(outcome) if outcome is not None else "DONE",
            "exit_code": outcome.exit_code if outcome is not None else 0,
            "environment": self._environment.name,
            "deployment": deployment.id if deployment else None,
            "release": {"version": deployment.version, "digest": deployment.digest} if deployment else None,
            "stable": serving.look(engines.create(self._environment)).document() if made is not None else None,
            "reasons": [{"signal": "monitoring", "value": None, "limit": "", "n": None, "text": t} for t in reasons],
            "report": deployment.report if deployment else None,
            "next": next_step,
            "monitoring": self._document(found, made) if found is not None else None,
        }
        # PLANNED is what ends with 0 and claims nothing.
        return Answer(outcome or Outcome.PLANNED, self._environment.redactor.tree(document))

    def _document(self, found: Watched, made: Tick | None) -> dict[str, Any]:
        return {**monitored.document(found.standing), "tick": monitored.row(made) if made is not None else None}

    def _look_now(self, deployment: Deployment, since: datetime, now: datetime) -> Seen:
        engine = engines.create(self._environment)
        return tick.look(self._environment, engine, deployment, since, now, view=self._view)


def _word(decision: Decision) -> str:
    return "red" if decision is Decision.ROLLBACK else "inconclusive"


def _told(seconds: float) -> str:
    """A time that people plan in: ``45 min``, ``3.0 h``, ``2.1 d``."""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"
