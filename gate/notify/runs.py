"""What is told of a run: that it began, how it ended, and that one was found dead."""

from __future__ import annotations

from datetime import datetime

from gate.config import Environment
from gate.config.notifying import Occasion
from gate.deployment.run import Run
from gate.notify.message import Message
from gate.records.store import Deployment
from gate.results import Outcome
from gate.watching.serving import Serving

_ENDED = {
    Outcome.RELEASED: (Occasion.RELEASED, "{version} is released and serves"),
    Outcome.ROLLED_BACK: (Occasion.ROLLED_BACK, "{undone}; {serves}"),
    Outcome.ROLLBACK_FAILED: (Occasion.ROLLBACK_FAILED, "the rollback failed: a person is needed now"),
    Outcome.HELD: (Occasion.HELD, "{version} is held: a person decides"),
    Outcome.RESTORED: (Occasion.RESTORED, "a backup is the live database now, proven"),
    Outcome.REFUSED: (Occasion.REFUSED, "{what} is refused; nothing was touched"),
    Outcome.INTERRUPTED: (Occasion.INTERRUPTED, "{what} was interrupted and undone"),
}
_ASKED_FOR = {"rollback": "back to {version}", "restore": "a restore", "deploy": "{version}"}
_WHAT = {"rollback": "the rollback to {version}", "restore": "the restore"}


def started(run: Run) -> Message:
    """A run begins."""
    stable = run.stable.version if run.stable is not None else "nothing"
    what = _ASKED_FOR.get(run.action, run.action).format(version=run.release.version)
    forced = f", an EMERGENCY: {run.options.emergency}" if run.options.emergency else ""
    return _of(run, Occasion.STARTED, f"deployment {run.deployment} begins: {what} ({stable} serves){forced}")


def ended(run: Run, outcome: Outcome, serves: Serving, next_step: str, report: str | None) -> Message | None:
    """How a run ended; ``serves`` is what is true then. None where nobody need be told: a plan."""
    if outcome not in _ENDED:
        return None
    event, title = _ENDED[outcome]
    version = run.release.version
    what = _WHAT.get(run.action, "{version}").format(version=version)
    proven = f"{serves}, proven" if serves.runs else str(serves)
    told = title.format(version=version, what=what, undone=_undone(run, what), serves=proven)
    reasons = tuple(dict.fromkeys(item.text for item in run.evidence.reasons))
    if run.emergency:
        told = f"EMERGENCY, sign-offs and waits skipped: {told}"
        reasons = (f"emergency: {run.emergency}", *reasons)
    return _of(run, event, told, reasons, next_step=next_step, report=report or "")


def _undone(run: Run, what: str) -> str:
    """What went back: a rollback that died, and was undone by ``recover``, led nowhere."""
    if run.action == "rollback" and any(step.name == "accept" and step.done for step in run.journal.to_undo()):
        return f"rolled back to {run.release.version}"
    return f"{what} was undone" if run.action in _WHAT else f"rolled back from {what}"


def dead(environment: Environment, found: Deployment, told: str, *, next_step: str, at: datetime) -> Message:
    """A run that died was found, unfinished."""
    return Message(
        Occasion.DEAD,
        at,
        environment.name,
        environment.app.name,
        f"deployment {found.id} ({found.version}) died unfinished: nothing can be deployed before it is recovered",
        (told,),
        found.id,
        found.version,
        found.by,
        next_step,
        contacts=environment.contacts,
    )


def _of(
    run: Run, event: Occasion, title: str, reasons: tuple[str, ...] = (), *, next_step: str = "", report: str = ""
) -> Message:
    environment = run.environment
    return Message(
        event,
        run.clock(),
        environment.name,
        environment.app.name,
        title,
        reasons,
        run.deployment,
        run.release.version,
        run.by,
        next_step,
        report,
        environment.contacts if event is Occasion.ROLLBACK_FAILED else {},
    )
