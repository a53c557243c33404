"""The monitoring of a release after its deployment: runs the tick that is due, keeps it, and acts on it by policy.

Safe to call every minute: without a tick that is due it asks nothing, locks nothing and ends at once. Nobody waits for
a look: the environment's lock is taken only to roll back, and a look gives way to a run that begins meanwhile. A tick
is kept before anything is done about it; who was killed in between is followed by one who looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime

from gate import engines
from gate.config import Environment
from gate.deployment import abandoned, holding
from gate.deployment.view import View
from gate.errors import GateError, Locked, OperationFailed, UsageError
from gate.monitoring import looking, policy, standings, ticks
from gate.monitoring.looking import Seen
from gate.monitoring.paging import Pager
from gate.monitoring.phases import Due, Tick, moment
from gate.monitoring.premises import Premises, Serves
from gate.monitoring.standings import Monitored
from gate.records.lock import LOOKS, Lock
from gate.records.store import Deployment, Store
from gate.results import Decision, Outcome, Reason
from gate.terminal.answers import Answer
from gate.watching import serving

Look = Callable[[Deployment, datetime, datetime, Callable[[], str]], Seen]
"""Looks at what a deployment made serve: users' requests count from the first time on, the second is now. The last is
asked all the time: once it gives a reason, nobody wants to know any more."""


_FIGURES = ("coverage", "error_rate", "response_time")
"""Signals that are told of a green tick; its record has all."""


class Monitor:
    """The command ``monitor`` on one environment; ``locked`` holds its lock for a block, ``roll_back`` needs it."""

    def __init__(
        self,
        environment: Environment,
        *,
        say: Callable[[str], None],
        pager: Pager,
        view: View,
        door: str,
        locked: Callable[[str], AbstractContextManager[Store]],
        roll_back: Callable[[Store, Sequence[Reason]], Answer],
        report: Callable[[Store, Monitored, datetime], None],
        look: Look | None = None,
        serves: Serves | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._environment = environment
        self._say = say
        self._pager = pager
        self._view = view
        self._door = f"{door} {environment.name}"
        self._locked = locked
        self._roll_back = roll_back
        self._report = report
        self._look = look or self._look_now
        self._serves = serves or self._serves_now
        self._clock = clock
        self._told = ""

    def run(self) -> Answer:
        """Runs the tick that is due, if one is.

        DONE (0): nothing was due, or the tick is green. ROLLED_BACK (1), ROLLBACK_FAILED (4): a red one, within
        ``rollback_in``. LOCKED (5): another run has the environment, or began while it looked; or one that died has no
        end yet, and people were told. HELD (6): a red one later, one that could not tell, or a run that was found dead:
        a person decides. Raises UsageError where nothing is to be monitored, OperationFailed.
        """
        if not self._environment.monitoring.phases:
            shown = self._environment.file.relative_to(self._environment.root)
            raise UsageError(
                f"{shown}: [monitoring] phases: is empty, so nothing is monitored",
                next_step=f'write phases = ["15m for 2h", "1h for 24h", "1d for 7d"] under [monitoring] in {shown}',
            )
        store = Store.of(self._environment)
        left = self._left(store)
        found = self._found(store)
        if left is not None and _cannot_tell(found) is None and abandoned.people_know(store, left):
            return self._still_left(found, left)
        if left is None and (found is None or found.standing.due is None):
            return self._nothing_due(found)
        with ExitStack() as stack:
            try:
                stack.enter_context(Lock(self._environment, LOOKS).held("looking"))
            except Locked:
                return self._busy(found, "another call of monitor is at it")
            return self._alone(store)

    def _alone(self, store: Store) -> Answer:
        """What is due, with no other look beside this one."""
        premises = Premises.of(store, self._serves)  # first: whatever is read after it may be newer, never older
        left = self._left(store)
        found = self._found(store)
        if left is not None:
            known = _cannot_tell(found) is None and abandoned.people_know(store, left)
            return self._still_left(found, left) if known else self._tell_left(store, found, left)
        due = found.standing.due if found is not None else None
        if found is None or due is None:  # another one has looked meanwhile
            return self._nothing_due(found)
        held = holding.find(store)
        if held is not None:
            keep = f"{self._door} keep   or   {self._door} rollback"
            return self._busy(found, held.told(self._environment), keep)
        holder = Lock(self._environment).holder()
        if holder is not None:
            return self._busy(found, f"another run holds this environment: {holder}")
        if premises.open is not None:
            return self._busy(found, f"deployment {premises.open.id} ({premises.open.version}) has just ended")
        return self._tick(store, found, due, premises)

    def _tick(self, store: Store, found: Monitored, due: Due, premises: Premises) -> Answer:
        seen, reasons = self._see(store, found, due, premises)
        gone = premises.gone(store, self._serves)
        name = _name(found, due.slot)
        if gone:
            self._view.failed(name, [f"gives way: {gone}"], seen.seconds)
            return self._busy(found, f"{gone}, so what was seen says nothing any more")
        try:
            made = ticks.add(store, seen)
        except OperationFailed as fault:
            self._show(name, seen, reasons)
            return self._unrecorded(found, seen, fault)
        self._show(name, made, reasons)
        looked = standings.of(self._environment, store, found.deployment, self._clock())
        answer = self._act(store, looked, made, reasons, premises)
        self._add_to_report(store, found)
        return answer

    def _unrecorded(self, found: Monitored, seen: Tick, fault: OperationFailed) -> Answer:
        """People learn of a bad release, whatever the records do. Raises ``fault`` where it is good: the tick is due
        still."""
        if seen.decision is Decision.GO:
            raise fault
        why_not = f"it could not be recorded, and nothing is rolled back that is not: {fault}"
        self._alert(found, seen, why_not)
        back = f"{self._door} rollback   or   {self._door} status"
        return self._answer(Outcome.HELD, found, seen, reasons=[*seen.reasons, why_not], next_step=back)

    def _add_to_report(self, store: Store, found: Monitored) -> None:
        try:
            at = self._clock()
            self._report(store, standings.of(self._environment, store, found.deployment, at), at)
        except Exception as fault:  # noqa: BLE001 - a report that fails never changes an outcome; it is told
            self._say(f"the report could not be written: {type(fault).__name__}: {fault}")

    def _left(self, store: Store) -> Deployment | None:
        """The run that has no end and that nobody works at; one that touched nothing gets its end here."""
        left = abandoned.find(self._environment, store)
        if left is None or not abandoned.untouched(store, left):
            return left
        with ExitStack() as stack:
            try:
                mine = stack.enter_context(self._locked("ending a run that died before it touched anything"))
            except Locked:
                return None  # somebody begins, and ends it first
            if abandoned.end_untouched(self._environment, mine, self._say):
                self._say(f"{abandoned.told(left)}, before it touched anything")
        return None

    def _tell_left(self, store: Store, found: Monitored | None, left: Deployment) -> Answer:
        """A run has no end, and nobody works at it: no look could tell anything, so the tick that is due cannot."""
        text = f"{abandoned.told(left)}: nothing is monitored until that has an end"
        next_step = f"{self._door} recover"
        self._pager.left(left, text, died=left.outcome is not Outcome.ROLLBACK_FAILED, next_step=next_step)
        made = None
        try:
            if not abandoned.people_know(store, left):
                abandoned.alerted(store, left)
            due = _cannot_tell(found)
            if found is not None and due is not None:
                kept = (found.deployment.id, due.slot, self._clock(), 0.0, Decision.HOLD, (text,))
                made = ticks.add(store, Tick(*kept, acted="alerted"))
                found = standings.of(self._environment, store, found.deployment, self._clock())
        except OperationFailed as fault:
            self._say(f"not recorded, so it is told again: {fault}")
        if found is not None and made is not None:
            self._add_to_report(store, found)
        return self._answer(Outcome.HELD, found, made, reasons=[text], next_step=next_step)

    def _still_left(self, found: Monitored | None, left: Deployment) -> Answer:
        text = f"{abandoned.told(left)}, and people were told: nothing is monitored until that has an end"
        next_step = f"{self._door} recover"
        self._say(f"{text}: {next_step}")
        return self._answer(Outcome.LOCKED, found, reasons=[text], next_step=next_step)

    def _found(self, store: Store) -> Monitored | None:
        found = standings.now(self._environment, store, self._clock())
        missed = standings.missed(self._environment, found) if found is not None else ""
        if missed and missed != self._told:
            self._told = missed
            self._say(missed)
        return found

    def _busy(self, found: Monitored | None, why: str, next_step: str = "", made: Tick | None = None) -> Answer:
        """Somebody else has the environment and will let go of it: no fault of anybody's."""
        self._say(f"{why}; the tick that is due waits for the next call")
        return self._answer(Outcome.LOCKED, found, made, reasons=[why], next_step=next_step)

    def _see(self, store: Store, found: Monitored, due: Due, premises: Premises) -> tuple[Tick, tuple[Reason, ...]]:
        """Looks; what was seen, not yet kept, and the reasons that decided."""
        before = found.standing.ticks[-1].ended_at if found.standing.ticks else found.released_at
        # A deployment that was undone meanwhile, a pause, a restore: what users saw of that was not this release's.
        runs = (datetime.fromisoformat(item.ended_at) for item in store.deployments(1) if item.ended_at is not None)
        before = max([before, *runs])
        name = _name(found, due.slot)
        at = self._clock()
        if due.why:
            self._say(f"{name}: {due.why}")
        self._view.step(name)
        try:
            seen = self._look(found.deployment, before, at, premises.watch(store))
        except (OperationFailed, OSError) as fault:
            seen = Seen([Reason("monitoring", Decision.HOLD, f"nothing could be looked at: {fault}")])
        judged, scrub = seen.verdict, self._environment.redactor
        seconds = max(0.0, (self._clock() - at).total_seconds())
        deciding = [item for item in judged.reasons if item.decision is judged.decision]
        texts = tuple(scrub(item.text) for item in deciding)
        made = Tick(found.deployment.id, due.slot, at, seconds, judged.decision, texts, tuple(map(scrub, seen.notes)))
        return made, tuple(deciding)

    def _show(self, name: str, made: Tick, reasons: Sequence[Reason]) -> None:
        if made.decision is Decision.GO:
            figures = [self._environment.redactor(item.text) for item in reasons if item.signal in _FIGURES]
            self._view.done(name, "; ".join(["green", *figures]), made.seconds)
        else:
            self._view.failed(name, [f"{_word(made.decision)}: {text}" for text in made.reasons], made.seconds)
        for note in made.notes:
            self._view.note(note)

    def _act(self, store: Store, found: Monitored, made: Tick, reasons: Sequence[Reason], premises: Premises) -> Answer:
        if made.decision is Decision.GO:
            self._say(self._until_next(found))
            return self._answer(None, found, made)
        why_not = policy.may_not_roll_back(self._environment, found, made)
        if made.decision is Decision.ROLLBACK and not why_not:
            try:
                return self._roll_back_now(store, found, made, reasons, premises)
            except GateError as fault:
                why_not = f"it could not be rolled back: {fault}"
        self._alert(found, made, why_not)
        self._remember(store, made, f"alerted; {why_not}" if why_not else "alerted")
        back = f"{self._door} rollback   or   {self._door} status"
        return self._answer(Outcome.HELD, found, made, reasons=list(made.reasons), next_step=back)

    def _roll_back_now(
        self, store: Store, found: Monitored, made: Tick, reasons: Sequence[Reason], premises: Premises
    ) -> Answer:
        """Rolls back, unless somebody else has begun to do something since the look. Raises GateError."""
        with ExitStack() as stack:
            try:
                purpose = f"rolling back {found.deployment.version}, which its monitoring found bad"
                mine = stack.enter_context(self._locked(purpose))
            except Locked as fault:
                return self._busy(found, f"nothing was done: {fault}", fault.next_step or "", made)
            gone = premises.gone(mine, self._serves)
            if gone:
                return self._busy(found, f"nothing was done: {gone}", made=made)
            answer = self._roll_back(mine, reasons)
        return self._after_rollback(store, found, made, answer)

    def _after_rollback(self, store: Store, found: Monitored, made: Tick, answer: Answer) -> Answer:
        self._remember(
            store, made, f"rolled back by policy: {answer.outcome} (deployment {answer.document['deployment']})"
        )
        if answer.outcome is not Outcome.ROLLED_BACK:
            self._alert(found, made, f"the rollback ended as {answer.outcome}")
        else:
            self._pager.page(f"{self._environment.name}: {found.deployment.version} was rolled back by its monitoring:")
            for text in made.reasons:
                self._pager.page(f"  why   {text}")
        return Answer(answer.outcome, {**answer.document, "monitoring": standings.with_tick(found, made)})

    def _alert(self, found: Monitored, made: Tick, why_not: str) -> None:
        title = policy.title(self._environment, found, made)
        back = f"{self._door} rollback   or   {self._door} status"
        self._pager.bad(title, made.reasons, found.deployment, why_not=why_not, next_step=back)

    def _remember(self, store: Store, made: Tick, what: str) -> None:
        """What was done stays done, also where it cannot be written down."""
        try:
            ticks.acted(store, made, what)
        except OperationFailed as fault:
            self._say(f"not recorded: {what}: {fault}")

    def _nothing_due(self, found: Monitored | None) -> Answer:
        if found is None:
            self._say("nothing was released here yet, so there is nothing to monitor")
        else:
            self._say(f"nothing is due. {self._until_next(found)}")
        return self._answer(None, found)

    def _until_next(self, found: Monitored) -> str:
        at = found.standing.next_at
        ends = f"the next tick is due at {moment(at)}" if at is not None else "that was the last tick of the plan"
        return f"{found.deployment.version} (deployment {found.deployment.id}): {found.standing}; {ends}"

    def _answer(
        self,
        outcome: Outcome | None,
        found: Monitored | None,
        made: Tick | None = None,
        *,
        reasons: Sequence[str] = (),
        next_step: str = "",
    ) -> Answer:
        stable = serving.look(engines.create(self._environment)).document() if made is not None else None
        document = standings.answer(self._environment, outcome, found, made, stable)
        document |= {"reasons": [standings.reason(text) for text in reasons], "next": next_step}
        # PLANNED is what ends with 0 and claims nothing.
        return Answer(outcome or Outcome.PLANNED, self._environment.redactor.tree(document))

    def _look_now(self, deployment: Deployment, since: datetime, now: datetime, stop: Callable[[], str]) -> Seen:
        engine = engines.create(self._environment)
        return looking.look(self._environment, engine, deployment, since, now, view=self._view, stop=stop)

    def _serves_now(self) -> str:
        stable = engines.create(self._environment).stable()
        return stable.id if stable is not None else ""


def _cannot_tell(found: Monitored | None) -> Due | None:
    """The tick that is due and cannot tell anything while a run has no end. None where none is; and where the last one
    was red and nothing was done about it: that is looked at as soon as somebody may."""
    if found is None or (found.standing.ticks and found.standing.ticks[-1].unmet):
        return None
    return found.standing.due


def _name(found: Monitored, slot: int) -> str:
    return f"tick {slot + 1} of {found.standing.planned}"


def _word(decision: Decision) -> str:
    return "red" if decision is Decision.ROLLBACK else "inconclusive"
