"""The story of a run: steps forward, each journaled before it acts; or all of them undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gate.deployment.before import checked, listed, permitted, permitted_still
from gate.deployment.evidence import reason
from gate.deployment.run import Run
from gate.deployment.sequences import RESTORE, all_steps, steps_of
from gate.deployment.stepping import timed, told
from gate.deployment.undoing import remember, undo_all
from gate.errors import OperationFailed
from gate.machine.interrupt import Interrupted
from gate.records.journal import DIED, Begun, to_undo
from gate.records.store import Deployment, Store
from gate.results import Decision, Outcome, Severity, Verdict
from gate.steps.base import Held, Step, StepFailed
from gate.steps.promote import demand_serving, retire
from gate.steps.smoke import judge


def deploy(run: Run) -> Outcome:
    """Takes a release from wanted to serving and proven, or everything back to as it was."""
    refused = listed(run) or permitted(run) or checked(run) or permitted_still(run)
    if refused is not None:
        return refused
    if run.stable is not None:
        run.ask_invariants("before")
    outcome = _forward(run, steps_of(run))
    run.ask_invariants("at the end")
    return outcome


def plan(run: Run) -> Outcome:
    """Runs the checks and says what a deployment would do; touches nothing."""
    refused = permitted(run)
    if refused is Outcome.INTERRUPTED:
        return refused
    outcome = checked(run) or refused
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
        remember(run, "recover", DIED)
        why.append(reason("recover", "the run that did this died before it ended"))
    run.evidence.fail(why, run.clock())
    return undo_all(run, Outcome.ROLLED_BACK, always_prove=True)


def keep(run: Run) -> Outcome:
    """Goes on where a deployment was held, because a person said so. Raises OperationFailed when it is not held."""
    run.journal.resume()
    held = run.journal.held()
    if held is None:
        raise OperationFailed(f"deployment {run.deployment} is not held")
    names = [step.name for step in all_steps(run)]
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
    return undo_all(run, Outcome.ROLLED_BACK)


def _still_proven(run: Run) -> bool:
    """Whether the release that a dead run had accepted still has the traffic and passes its critical smoke tests."""
    try:
        with timed(run, "verify") as say:
            demand_serving(run)
            say(judge(run, "front", [Severity.CRITICAL]))
    except Exception as fault:  # noqa: BLE001 - not proven is not proven; it is told
        run.evidence.fail([reason("verify", f"{run.release.version} was accepted: {told(fault)}")], run.clock())
        return False
    return True


def _forward(run: Run, steps: Sequence[Step]) -> Outcome:
    try:
        for step in steps:
            answer = _attempt(run, step)
            if answer is not None:
                return answer
    except Interrupted:
        run.evidence.fail([reason("interrupted", "interrupted by a signal")], run.clock())
        return undo_all(run, Outcome.INTERRUPTED)
    except StepFailed as fault:
        run.evidence.fail(list(fault.reasons), run.clock())
        return undo_all(run, Outcome.ROLLED_BACK)
    except BaseException as fault:  # noqa: BLE001 - whatever it is, what was begun must be undone; it is told
        run.evidence.fail([reason("failure", told(fault))], run.clock())
        return undo_all(run, Outcome.ROLLED_BACK)
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
    with timed(run, step.name) as say:
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
        with timed(run, "retire") as say:
            say(retire(run))
    except Exception as fault:  # noqa: BLE001 - the release is proven and serves; it is told
        run.note(f"the release before could not be retired, recover stops it: {told(fault)}")
    return Outcome.RELEASED


def unfinished_steps(store: Store, deployment: int) -> list[Begun]:
    """Steps of a deployment that began and were not undone, latest first."""
    return to_undo(store.events(deployment))
