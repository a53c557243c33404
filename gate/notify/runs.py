"""What is told of a run: that it began, how it ended, and that one was found dead."""

from __future__ import annotations

from datetime import datetime

from gate.config import Environment
from gate.config.notifying import Occasion
from gate.notify.message import Message
from gate.results import Outcome
from gate.run import Run
from gate.store import Deployment

_ENDED = {
    Outcome.RELEASED: (Occasion.RELEASED, "{version} is released and serves"),
    Outcome.ROLLED_BACK: (Occasion.ROLLED_BACK, "rolled back from {version}; {stable} serves, proven"),
    Outcome.ROLLBACK_FAILED: (Occasion.ROLLBACK_FAILED, "the rollback failed: a person is needed now"),
    Outcome.HELD: (Occasion.HELD, "{version} is held: a person decides"),
    Outcome.RESTORED: (Occasion.RESTORED, "a backup is the live database now, proven"),
    Outcome.REFUSED: (Occasion.REFUSED, "{version} is refused; nothing was touched"),
    Outcome.INTERRUPTED: (Occasion.INTERRUPTED, "{version} was interrupted and undone"),
}
_ASKED_FOR = {"rollback": "back to {version}", "restore": "a restore", "deploy": "{version}"}


def started(run: Run) -> Message:
    """A run begins."""
    stable = run.stable.version if run.stable is not None else "nothing"
    what = _ASKED_FOR.get(run.action, run.action).format(version=run.release.version)
    forced = f", an EMERGENCY: {run.options.emergency}" if run.options.emergency else ""
    return _of(run, Occasion.STARTED, f"deployment {run.deployment} begins: {what} ({stable} serves){forced}")


def ended(run: Run, outcome: Outcome, next_step: str, report: str | None) -> Message | None:
    """How a run ended; None where nobody need be told: a plan."""
    if outcome not in _ENDED:
        return None
    event, title = _ENDED[outcome]
    if run.action == "rollback" and outcome is Outcome.ROLLED_BACK:
        title = "rolled back to {version}, which serves, proven"
    stable = run.stable.version if run.stable is not None else "nothing"
    reasons = tuple(dict.fromkeys(item.text for item in run.evidence.reasons))
    told = title.format(version=run.release.version, stable=stable)
    waited = run.evidence.permission
    if waited is not None and waited.skipped:
        told = f"EMERGENCY, sign-offs and waits skipped: {told}"
        reasons = (f"emergency: {waited.emergency}", *reasons)
    return _of(run, event, told, reasons, next_step=next_step, report=report or "")


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
