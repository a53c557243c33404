"""What a deployment asks before it touches anything: permission, then the checks."""

from __future__ import annotations

from gate.conditions.permission import waits
from gate.deployment.evidence import reason
from gate.deployment.run import Run
from gate.deployment.stepping import timed, told
from gate.errors import OperationFailed, Refused
from gate.machine.interrupt import Interrupted
from gate.results import Decision, Outcome
from gate.steps import permit
from gate.steps.check import check


def listed(run: Run) -> Outcome | None:
    """The outcome that ends a run whose checklist cannot be written down; None when it is, or there is none."""
    try:
        permit.write_down(run)
    except OperationFailed as fault:
        run.evidence.fail([reason("permission", str(fault), Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return None


def permitted(run: Run) -> Outcome | None:
    """The outcome that what the deployment has to wait for ends the run with, None when it may begin."""
    if not waits(run.environment):
        return None
    try:
        with timed(run, "permission") as say, run.interrupts.allowed():
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
        text = f"whether it may be deployed now cannot be told: {told(fault)}"
        run.evidence.fail([reason("permission", text, Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return None


def permitted_still(run: Run) -> Outcome | None:
    """The same once more after the checks, which took their time; an emergency is written down before it begins."""
    if not waits(run.environment):
        return None
    try:
        found = permit.ask(run)
        permit.owe(run, found)
    except Exception as fault:  # noqa: BLE001 - nothing was touched yet, and nothing will be; it is told
        text = f"whether it may be deployed now cannot be told, or not be written down: {told(fault)}"
        run.evidence.fail([reason("permission", text, Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return permitted(run) if found.reasons and not found.emergency else None


def checked(run: Run) -> Outcome | None:
    """The outcome that the checks end the run with, None when they say GO."""
    try:
        with timed(run, "checks") as say, run.interrupts.allowed():
            say(check(run))
        _tell_way_back(run)
    except Refused:
        return Outcome.REFUSED
    except Interrupted:
        run.evidence.fail([reason("interrupted", "interrupted during the checks; nothing was touched")], run.clock())
        return Outcome.INTERRUPTED
    except BaseException as fault:  # noqa: BLE001 - nothing was touched yet, and nothing will be; it is told
        text = f"the checks could not run: {told(fault)}"
        run.evidence.fail([reason("checks", text, Decision.NO_GO)], run.clock())
        return Outcome.REFUSED
    return None


def _tell_way_back(run: Run) -> None:
    way_back = run.way_back
    if run.action == "plan" or not (way_back.lives and way_back.leads_back):
        run.note(f"way back: {way_back}")
    if way_back.forward_only:
        run.note(f"roll forward only, signed by {run.by}: {run.options.roll_forward}")
