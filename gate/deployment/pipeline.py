"""The story of a deployment: steps forward, each journaled before it acts; or all of them undone, in reverse.

Nobody rolls back a rollback: the undo hears no signal, is not stopped by the gate's own bookkeeping, tries every step,
and is verified by the critical smoke tests on the release that serves again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from gate.conditions.permission import waits
from gate.deployment.evidence import StepRecord, reason
from gate.deployment.run import Facts, Run
from gate.errors import GateError, OperationFailed, Refused
from gate.machine.interrupt import Interrupted
from gate.records.journal import DIED, TOUCHING, Begun, to_undo
from gate.records.store import Deployment, Store
from gate.results import Decision, Outcome, Severity, Verdict
from gate.steps import permit
from gate.steps.backup import Backup
from gate.steps.base import Held, Step, StepFailed
from gate.steps.check import check
from gate.steps.migrate import Migrate
from gate.steps.pause import Pause
from gate.steps.promote import Accept, Drain, Promote, demand_serving, retire
from gate.steps.restore import Beside, Prove, Swap
from gate.steps.smoke import Smoke, judge
from gate.steps.start import Health, Start
from gate.steps.watch import Bake, Canary

DEPLOY: tuple[Step, ...] = (
    Backup(),
    Pause(),
    Migrate(),
    Start(),
    Health(),
    Smoke("smoke", "candidate"),
    Canary(),
    Promote(),
    Smoke("smoke at the front door", "front"),
    Drain(),
    Bake(),
    Accept(),
)
"""What a deployment does after the checks said GO; ``steps_of`` leaves out what one has no use for."""

ROLL_BACK: tuple[Step, ...] = (
    Start(),
    Health(),
    Smoke("smoke", "candidate", [Severity.CRITICAL]),
    Promote(),
    Smoke("smoke at the front door", "front", [Severity.CRITICAL]),
    Drain(),
    Accept(),
)
"""What ``rollback`` does: the earlier release is proven before traffic reaches it; the schema stays."""

RESTORE: tuple[Step, ...] = (Backup(), Beside(), Swap(), Prove())
"""What ``restore`` does: until the names change, nothing has happened to the live database."""

_IMPATIENT = {"smoke", "canary"}
"""Left out while users wait for a migration; the rehearsal has run the critical smoke tests, and the front door runs
all of them."""
_BESIDE = {"health", "smoke", "canary"}
"""Left out where a release replaces the one before: it is tested at the front door, as soon as it has the traffic."""


def steps_of(run: Run) -> tuple[Step, ...]:
    """The steps of a run, in order."""
    left_out = set() if run.engine.beside else _BESIDE
    if run.action == "rollback":
        return tuple(step for step in ROLL_BACK if step.name not in left_out)
    steps = run.environment.traffic.steps
    left_out = left_out | (set() if steps else {"bake"}) | (set() if len(steps) > 1 else {"canary"})
    left_out |= {"pause"} if run.way_back.lives else _IMPATIENT
    return tuple(step for step in DEPLOY if step.name not in left_out)


def deploy(run: Run) -> Outcome:
    """Takes a release from wanted to serving and proven, or everything back to as it was."""
    refused = _listed(run) or _permitted(run) or _checked(run) or _permitted_still(run)
    if refused is not None:
        return refused
    if run.stable is not None:
        run.ask_invariants("before")
    outcome = _forward(run, steps_of(run))
    run.ask_invariants("at the end")
    return outcome


def plan(run: Run) -> Outcome:
    """Runs the checks and says what a deployment would do; touches nothing."""
    refused = _permitted(run)
    if refused is Outcome.INTERRUPTED:
        return refused
    outcome = _checked(run) or refused
    if outcome is None:
        run.view.note(f"would then: {', '.join(step.name for step in steps_of(run))}, retire")
    return outcome or Outcome.PLANNED


def rollback(run: Run) -> Outcome:
    """Makes an earlier release serve again, proven first. ROLLBACK_FAILED when it could not; then nothing changed."""
    outcome = _forward(run, steps_of(run))
    return _ROLLED_BACK_TO.get(outcome, outcome)


def restore(run: Run) -> Outcome:
    """Makes a backup the live database, proven by the release that serves; or leaves the database that it was."""
    run.ask_invariants("before")
    outcome = _forward(run, RESTORE)
    run.ask_invariants("at the end")
    return outcome


# A requested rollback that was accepted has rolled back; one that was undone has failed.
_ROLLED_BACK_TO = {Outcome.RELEASED: Outcome.ROLLED_BACK, Outcome.ROLLED_BACK: Outcome.ROLLBACK_FAILED}


def recover(run: Run, before: Deployment) -> Outcome:
    """Finishes what a run left, ``before`` as it is remembered: its undo, or, if it had been accepted, its end.

    Why the run was undone in the first place stays known.
    """
    run.journal.resume()
    if run.action == "restore" and run.journal.finished("prove"):
        return _accepted(run)
    if run.journal.finished("accept") and _still_proven(run):
        outcome = _accepted(run)
        return _ROLLED_BACK_TO.get(outcome, outcome) if run.action == "rollback" else outcome
    known = dict.fromkeys([*before.reasons, *run.journal.judged().get("reasons", [])])
    why = [reason("before", text) for text in known]
    if before.outcome is not Outcome.ROLLBACK_FAILED:
        _remember(run, "recover", DIED)
        why.append(reason("recover", "the run that did this died before it ended"))
    run.evidence.fail(why, run.clock())
    return _undo_all(run, Outcome.ROLLED_BACK, always_prove=True)


def keep(run: Run) -> Outcome:
    """Goes on where a deployment was held, because a person said so. Raises OperationFailed when it is not held."""
    run.journal.resume()
    held = run.journal.held()
    if held is None:
        raise OperationFailed(f"deployment {run.deployment} is not held")
    names = [step.name for step in _all_steps(run)]
    _say_kept(run, held.step, held.facts.get("reasons", []))
    return _forward(run, [step for step in steps_of(run) if names.index(step.name) > names.index(held.step)])


def give_up(run: Run, why: str, live: Verdict | None = None) -> Outcome:
    """Undoes a deployment that was held; ``live`` is what the traffic decided, if it did. Raises OperationFailed when
    it is not held."""
    run.journal.resume()
    held = run.journal.held()
    if held is None:
        raise OperationFailed(f"deployment {run.deployment} is not held")
    if live is not None:
        run.evidence.live.append((run.clock(), live))
    texts = [f"not kept: {why}", *held.facts.get("reasons", [])]
    run.evidence.fail([reason("held", text, Decision.HOLD) for text in texts], run.clock())
    return _undo_all(run, Outcome.ROLLED_BACK)


def _all_steps(run: Run) -> tuple[Step, ...]:
    """Every step that a run of this kind may have begun, whatever the environment file says by now."""
    return {"rollback": ROLL_BACK, "restore": RESTORE}.get(run.action, DEPLOY)


def _still_proven(run: Run) -> bool:
    """Whether the release that a dead run had accepted still has the traffic and passes its critical smoke tests."""
    try:
        with _step(run, "verify") as say:
            demand_serving(run)
            say(judge(run, "front", [Severity.CRITICAL]))
    except Exception as fault:  # noqa: BLE001 - not proven is not proven; it is told
        run.evidence.fail([reason("verify", f"{run.release.version} was accepted: {_told(fault)}")], run.clock())
        return False
    return True


def _listed(run: Run) -> Outcome | None:
    """The outcome that ends a run whose checklist cannot be written down; None when it is, or there is none."""
    try:
        permit.write_down(run)
    except OperationFailed as fault:
        run.evidence.fail([reason("permission", str(fault), Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return None


def _permitted(run: Run) -> Outcome | None:
    """The outcome that what the deployment has to wait for ends the run with, None when it may begin."""
    if not waits(run.environment):
        return None
    try:
        with _step(run, "permission") as say, run.interrupts.allowed():
            found = permit.ask(run)
            if run.action == "plan":
                for condition in found.conditions:
                    run.view.note(str(condition))
            say(permit.demand(run, found))
    except Refused:
        run.evidence.fail(found.reasons, run.clock())
        return Outcome.REFUSED
    except Interrupted:
        run.evidence.fail([reason("interrupted", "interrupted before the checks; nothing was touched")], run.clock())
        return Outcome.INTERRUPTED
    except BaseException as fault:  # noqa: BLE001 - nothing was touched yet, and nothing will be; it is told
        text = f"whether it may be deployed now cannot be told: {_told(fault)}"
        run.evidence.fail([reason("permission", text, Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return None


def _permitted_still(run: Run) -> Outcome | None:
    """The same once more after the checks, which took their time; an emergency is written down before it begins."""
    if not waits(run.environment):
        return None
    try:
        found = permit.ask(run)
        permit.owe(run, found)
    except Exception as fault:  # noqa: BLE001 - nothing was touched yet, and nothing will be; it is told
        text = f"whether it may be deployed now cannot be told, or not be written down: {_told(fault)}"
        run.evidence.fail([reason("permission", text, Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return _permitted(run) if found.reasons and not found.emergency else None


def _checked(run: Run) -> Outcome | None:
    """The outcome that the checks end the run with, None when they say GO."""
    try:
        with _step(run, "checks") as say, run.interrupts.allowed():
            say(check(run))
        _tell_way_back(run)
    except Refused:
        return Outcome.REFUSED
    except Interrupted:
        run.evidence.fail([reason("interrupted", "interrupted during the checks; nothing was touched")], run.clock())
        return Outcome.INTERRUPTED
    except BaseException as fault:  # noqa: BLE001 - nothing was touched yet, and nothing will be; it is told
        text = f"the checks could not run: {_told(fault)}"
        run.evidence.fail([reason("checks", text, Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return None


def _tell_way_back(run: Run) -> None:
    way_back = run.way_back
    if run.action == "plan" or not (way_back.lives and way_back.leads_back):
        run.note(f"way back: {way_back}")
    if way_back.forward_only:
        run.note(f"roll forward only, signed by {run.by}: {run.options.roll_forward}")


def _told(fault: BaseException) -> str:
    return str(fault) if isinstance(fault, GateError) else f"a defect of the gate: {type(fault).__name__}: {fault}"


def _forward(run: Run, steps: Sequence[Step]) -> Outcome:
    try:
        for step in steps:
            answer = _attempt(run, step)
            if answer is not None:
                return answer
    except Interrupted:
        run.evidence.fail([reason("interrupted", "interrupted by a signal")], run.clock())
        return _undo_all(run, Outcome.INTERRUPTED)
    except StepFailed as fault:
        run.evidence.fail(list(fault.reasons), run.clock())
        return _undo_all(run, Outcome.ROLLED_BACK)
    except BaseException as fault:  # noqa: BLE001 - whatever it is, what was begun must be undone; it is told
        run.evidence.fail([reason("failure", _told(fault))], run.clock())
        return _undo_all(run, Outcome.ROLLED_BACK)
    return _accepted(run)


def _attempt(run: Run, step: Step) -> Outcome | None:
    """Performs a step. Held, and nobody there to ask: HELD. None: go on."""
    try:
        _perform(run, step)
    except Held as fault:
        with run.interrupts.allowed():
            answer = run.ask(fault.reasons)
        texts = [item.text for item in fault.reasons]
        if answer is not None and answer.decision is Decision.GO:
            _say_kept(run, step.name, texts)
            return None
        if answer is not None:
            raise StepFailed(str(fault), (*fault.reasons, reason("held", answer.why))) from None
        run.evidence.fail(list(fault.reasons), run.clock())
        share = run.watch.step.share if run.watch is not None and run.watch.step is not None else 0.0
        run.journal.write(step.name, "held", {"reasons": texts, "share": share, **run.counted()})
        run.stop_watching()
        return Outcome.HELD
    return None


def _say_kept(run: Run, step: str, reasons: list[str]) -> None:
    """Writes down that a person took the decision, and on what."""
    run.journal.write(step, "kept", {"by": run.by})
    if run.watch is not None:
        run.watch.kept()
    run.evidence.reasons += [reason("kept", f"kept by {run.by} although {text}", Decision.GO) for text in reasons]


def _perform(run: Run, step: Step) -> None:
    with _step(run, step.name) as say:
        with run.interrupts.allowed():
            _unless_it_rolls_back(run, run.demand_lock)
            facts = step.intend(run)
            _unless_it_rolls_back(run, lambda: run.journal.write(step.name, "do", facts))
            say(step.do(run, facts))
        _unless_it_rolls_back(run, lambda: run.journal.write(step.name, "done"))


def _unless_it_rolls_back(run: Run, act: Callable[[], None]) -> None:
    """Bookkeeping that a deployment cannot do without, and that never stands in the way of a rollback: there it is
    told, unless somebody else has the environment by now. Raises OperationFailed."""
    try:
        act()
    except OperationFailed as fault:
        if run.action != "rollback" or run.rival() is not None:
            raise
        text = f"the rollback goes on without it: {fault}"
        if text not in run.evidence.notes:
            run.note(text)


def _accepted(run: Run) -> Outcome:
    """The candidate is kept from here on; what fails now is told and changes nothing."""
    if run.action == "restore":
        return Outcome.RESTORED
    run.stop_watching()
    try:
        with _step(run, "retire") as say:
            say(retire(run))
    except Exception as fault:  # noqa: BLE001 - the release is proven and serves; it is told
        run.note(f"the release before could not be retired: {_told(fault)}")
    return Outcome.RELEASED


def _undo_all(run: Run, outcome: Outcome, *, always_prove: bool = False) -> Outcome:
    """Undoes everything the journal says was begun, by this process or by an earlier one."""
    run.stop_watching()
    run.pause.undoing()
    begun = run.journal.to_undo()
    known = {step.name: step for step in _all_steps(run)}
    touched = any(item.name in TOUCHING for item in begun)
    why: Facts = {}
    if touched and not always_prove:  # for whoever goes on if this process dies; ``recover`` itself judges nothing
        why = {"outcome": str(outcome), "reasons": list(dict.fromkeys(item.text for item in run.evidence.reasons))}
    failed, written = [], True
    for item in (one for one in begun if one.name in known):
        # While the records answer: asking a server that does not would only keep users waiting.
        if written and not _alone(run):
            return Outcome.ROLLBACK_FAILED
        written = _remember(run, item.name, "undo", why)
        if not _undo(run, known[item.name], item):
            failed.append(item.name)
    if written and not _alone(run):
        return Outcome.ROLLBACK_FAILED
    if not always_prove and not touched:
        return Outcome.REFUSED if outcome is Outcome.ROLLED_BACK else outcome  # there was nothing to roll back
    return outcome if _verify(run) and not failed else Outcome.ROLLBACK_FAILED


def _alone(run: Run) -> bool:
    """Whether nobody else has the environment by now: beside another run nothing is undone, and that is said."""
    rival = run.rival()
    if rival is not None:
        text = (
            f"nothing more was undone, for the lock is lost and another run has it: {rival}; recover once it has ended"
        )
        run.evidence.reasons.append(reason("lock", text))
    return rival is None


def _undo(run: Run, step: Step, begun: Begun) -> bool:
    began = time.monotonic()
    record = next((item for item in run.evidence.steps if item.name == step.name), None)
    if record is None:
        record = StepRecord(step.name, run.clock(), "unfinished")
        run.evidence.steps.append(record)
    record.undo_at = run.clock()
    try:
        record.undo_detail = step.undo(run, begun.facts)
        record.undone = True
    except Exception as fault:  # noqa: BLE001 - the other steps must still be undone; it is told and fails the outcome
        record.undone = False
        record.undo_detail = str(fault)
        run.evidence.reasons.append(reason("undo", f"{step.name} could not be undone: {fault}"))
        run.view.undoing(f"{step.name} could not be undone: {fault}")
    record.undo_seconds = time.monotonic() - began
    if record.undone:
        _remember(run, step.name, "undone")
        if record.undo_detail:
            run.view.undoing(record.undo_detail)
    return record.undone


def _remember(run: Run, step: str, kind: str, facts: Facts | None = None) -> bool:
    """Writes to the journal during an undo, which our own bookkeeping never stops; whether it could."""
    try:
        run.journal.write(step, kind, facts)
    except OperationFailed as fault:
        run.note(f"not in the journal: {step} {kind}: {fault}")
        return False
    return True


def _verify(run: Run) -> bool:
    """Whether the release that serves again passes its critical smoke tests; True where none served before."""
    if run.stable is None:
        run.note("first deployment: there is no earlier release, so nothing serves now")
        return True
    if run.stuck:
        text = f"{run.stable.version} cannot live on the schema, which cannot be taken back: roll forward"
        run.evidence.reasons.append(reason("way_back", text))
        return False
    try:
        with _step(run, "verify") as say:
            say(f"critical: {judge(run, 'restored', [Severity.CRITICAL])} on {run.stable.version}")
    except Exception as fault:  # noqa: BLE001 - not proven is not proven; it is told
        run.evidence.reasons.append(reason("verify", f"the restored release is not proven: {_told(fault)}"))
        return False
    return True


@contextmanager
def _step(run: Run, name: str) -> Iterator[Callable[[str], None]]:
    """Times and records a step and shows it; the block says its one line."""
    record = StepRecord(name, run.clock())
    run.evidence.steps.append(record)
    run.view.step(name)
    began = time.monotonic()

    def say(detail: str) -> None:
        record.detail = detail

    try:
        yield say
    except BaseException as fault:
        record.seconds = time.monotonic() - began
        record.status = "interrupted" if isinstance(fault, KeyboardInterrupt) else "failed"
        record.detail = "interrupted" if isinstance(fault, KeyboardInterrupt) else str(fault)
        run.view.failed(name, record.detail.splitlines(), record.seconds)
        raise
    record.seconds = time.monotonic() - began
    record.status = "done"
    run.view.done(name, record.detail, record.seconds)


def unfinished_steps(store: Store, deployment: int) -> list[Begun]:
    """Steps of a deployment that began and were not undone, latest first."""
    return to_undo(store.events(deployment))
