"""Which steps a run has, in order."""

from __future__ import annotations

from gate.deployment.run import Run
from gate.results import Severity
from gate.steps.backup import Backup
from gate.steps.base import Step
from gate.steps.migrate import Migrate
from gate.steps.pause import Pause
from gate.steps.promote import Accept, Drain, Promote
from gate.steps.restore import Beside, Prove, Swap
from gate.steps.smoke import Smoke
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


def all_steps(run: Run) -> tuple[Step, ...]:
    """Every step that a run of this kind may have begun, whatever the environment file says by now."""
    return {"rollback": ROLL_BACK, "restore": RESTORE}.get(run.action, DEPLOY)
