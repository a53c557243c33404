"""Everything that a run began, taken back in reverse, and what serves again proven.

Nobody rolls back a rollback: the undo hears no signal, is not stopped by the gate's own bookkeeping, tries every step,
and is verified by the critical smoke tests on the release that serves again.
"""

from __future__ import annotations

import time

from gate.deployment.evidence import StepRecord, reason
from gate.deployment.run import Facts, Run
from gate.deployment.sequences import all_steps
from gate.deployment.stepping import timed, told
from gate.errors import OperationFailed
from gate.records.journal import TOUCHING, Begun
from gate.results import Outcome, Severity
from gate.steps.base import Step
from gate.steps.smoke import judge


def undo_all(run: Run, outcome: Outcome, *, always_prove: bool = False) -> Outcome:
    """Undoes everything the journal says was begun, by this process or by an earlier one."""
    run.stop_watching()
    run.pause.undoing()
    begun = run.journal.to_undo()
    known = {step.name: step for step in all_steps(run)}
    touched = any(item.name in TOUCHING for item in begun)
    why: Facts = {}
    if touched and not always_prove:  # for whoever goes on if this process dies; ``recover`` itself judges nothing
        why = {"outcome": str(outcome), "reasons": list(dict.fromkeys(item.text for item in run.evidence.reasons))}
    failed, written = [], True
    for item in (one for one in begun if one.name in known):
        # While the records answer: asking a server that does not would only keep users waiting.
        if written and not _alone(run):
            return Outcome.ROLLBACK_FAILED
        written = remember(run, item.name, "undo", why)
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
        remember(run, step.name, "undone")
        if record.undo_detail:
            run.view.undoing(record.undo_detail)
    return record.undone


def remember(run: Run, step: str, kind: str, facts: Facts | None = None) -> bool:
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
        with timed(run, "verify") as say:
            say(f"critical: {judge(run, 'restored', [Severity.CRITICAL])} on {run.stable.version}")
    except Exception as fault:  # noqa: BLE001 - not proven is not proven; it is told
        run.evidence.reasons.append(reason("verify", f"the restored release is not proven: {told(fault)}"))
        return False
    return True
