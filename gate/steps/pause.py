"""Pause: users wait while a migration runs that the release that serves cannot live with."""

from __future__ import annotations

from gate.deployment.run import Facts, Run
from gate.steps.base import Step, StepFailed
from gate.steps.promote import revive, switch


class Pause(Step):
    """Points the traffic at nobody, so that the proxy holds requests, and waits until none is in flight.

    The undo gives the traffic back, after the schema has been taken back.
    """

    name = "pause"

    def intend(self, run: Run) -> Facts:
        return {"stable": run.stable.id if run.stable else None}

    def do(self, run: Run, facts: Facts) -> str:
        if run.stable is None:
            return "first deployment: nobody waits"
        switch(run, None)
        drained = run.engine.drain(run.stable, run.pause.within(run.environment.traffic.drain_timeout) / 2)
        if not drained.complete:
            left = "some" if drained.left is None else drained.left
            raise StepFailed(
                f"{left} requests are still in flight on {run.stable.version} after {drained.seconds:.1f} s"
            )
        return f"requests wait; {run.stable.version} drained in {drained.seconds:.1f} s"

    def undo(self, run: Run, facts: Facts) -> str:
        serving = run.engine.stable()
        if serving is not None or facts["stable"] is None:
            return ""
        revive(run)
        switch(run, facts["stable"])
        return f"traffic on {facts['stable']} again"
