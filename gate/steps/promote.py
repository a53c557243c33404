"""Promote, drain and retire: traffic moves to the candidate by one atomic act, and can move back by another."""

from __future__ import annotations

import time
from contextlib import suppress

from gate.deployment.evidence import Switch
from gate.deployment.run import Facts, Run
from gate.engines.base import Instance
from gate.errors import EngineError, OperationFailed
from gate.judging.way_back import WayBack
from gate.steps.base import Step, StepFailed
from gate.steps.start import remark, told, wait_healthy


class Promote(Step):
    """Points all traffic at the candidate; the release before keeps running."""

    name = "promote"

    def intend(self, run: Run) -> Facts:
        return {"stable": run.stable.id if run.stable else None, "way_back": run.way_back.facts()}

    def do(self, run: Run, facts: Facts) -> str:
        candidate = run.candidate
        if candidate is None:
            raise StepFailed(f"{run.candidate_id} is not there any more")
        steps = run.environment.traffic.steps if run.action == "deploy" else []
        beside = run.engine.beside
        watch = run.watched() if steps and beside else None  # before the first request of a user
        spent = switch(run, run.candidate_id)
        if not beside:
            wait_healthy(run, candidate)
            # While one release replaces the other nothing could be told of either.
            watch = run.watched() if steps else None
        if watch is not None:
            watch.begin(*steps[-1])
        if any(service.exclusive for service in run.environment.services.values()):
            wait_healthy(run, candidate)  # they start only now that the release before has let go of theirs
        return f"100 % of traffic on {candidate.version} after {spent * 1000:.1f} ms"

    def undo(self, run: Run, facts: Facts) -> str:
        origin, serving = facts["stable"], None
        try:
            serving = run.engine.stable()
        except OperationFailed as fault:
            # What nobody can tell must not stop the way back; which schema it may be on must be known, though.
            if not WayBack.of(facts.get("way_back")).lives:
                raise
            run.note(f"what serves cannot be told: {fault}")
        if not WayBack.of(facts.get("way_back")).lives:
            return self._undo_paused(run, serving)
        if origin is not None and run.engine.find(origin) is None and serving is not None and serving == run.stable:
            return f"traffic is on {serving.id}, by a rollback that is not recorded"
        if origin is not None and run.engine.beside:
            revive(run)
        spent = switch(run, origin)
        if origin is not None and run.stable is not None and not run.engine.beside:
            wait_healthy(run, run.stable)
        candidate = run.candidate
        if candidate is not None:
            run.engine.drain(candidate, run.environment.traffic.drain_timeout)
        if origin is None:
            return "traffic reaches nothing, as before the first deployment"
        return f"traffic on {origin} after {spent * 1000:.1f} ms"

    def _undo_paused(self, run: Run, serving: Instance | None) -> str:
        """The release before cannot live on the schema as it is: nobody gets the traffic until that is taken back."""
        candidate = run.candidate
        if candidate is None or serving is None or serving.id != candidate.id:
            return ""
        if run.way_back.forward_only:
            raise OperationFailed(f"{candidate.version} keeps the traffic, for there is no way back")
        switch(run, None)
        run.engine.drain(candidate, run.pause.within(run.environment.traffic.drain_timeout) / 2)
        return "requests wait while the schema is taken back"


class Drain(Step):
    """Waits until the release before has answered every request it still holds."""

    name = "drain"

    def do(self, run: Run, facts: Facts) -> str:
        if run.stable is None:
            return "first deployment: nothing to drain"
        drained = run.engine.drain(run.stable, run.environment.traffic.drain_timeout)
        if not drained.complete:
            # Not a fault of the candidate: the graceful stop gives these requests their grace period too.
            left = "some" if drained.left is None else drained.left
            run.note(f"{left} requests were still in flight on {run.stable.version} after {drained.seconds:.1f} s")
        if not drained.measured:
            return f"{run.stable.version} is drained by what ends it; nothing here measures that"
        return f"{run.stable.version} drained in {drained.seconds:.1f} s"


class Accept(Step):
    """The last look before the release before is let go: the candidate must have the traffic and be healthy.

    Once its result is in the journal the candidate stays; until then everything can be undone.
    """

    name = "accept"

    def intend(self, run: Run) -> Facts:
        return {**run.counted()}

    def do(self, run: Run, facts: Facts) -> str:
        demand_serving(run)
        return f"{run.release.version} has the traffic and is healthy"


def demand_serving(run: Run) -> None:
    """Raises StepFailed unless all traffic goes to the candidate and each of its services is healthy."""
    serving, candidate = run.engine.stable(), run.candidate
    if candidate is None or serving is None or serving.id != candidate.id:
        raise StepFailed(f"traffic goes to {serving.id if serving else 'nothing'}, expected {run.candidate_id}")
    states = run.engine.health(candidate)
    ailing = [state for state in states if not state.healthy]
    if ailing:
        raise StepFailed("; ".join(f"{state.name} of the candidate {told(state)}" for state in ailing))
    remark(run, states)


def switch(run: Run, target: str | None) -> float:
    """Points all traffic at an instance (None: at nothing); returns the seconds it took. Raises StepFailed."""
    began, before = time.monotonic(), None
    with suppress(OperationFailed):  # only for the report: not knowing it stops no switch
        before = run.engine.stable()
    if target is None:
        run.engine.withdraw()
    else:
        instance = run.engine.find(target)
        if instance is None:
            raise StepFailed(f"{target} is not there any more, traffic stays where it is")
        run.engine.promote(instance)
    spent = time.monotonic() - began
    _count_pause(run, target)
    run.evidence.switches.append(Switch(run.clock(), before.id if before else None, target, spent * 1000))
    return spent


def _count_pause(run: Run, target: str | None) -> None:
    """Tells how long users waited where traffic reached nobody between two releases."""
    if target is None and run.stable is not None:
        run.pause.begin()
    waited = run.pause.end() if target is not None else None
    if waited is not None:
        instance = run.engine.find(target) if target is not None else None
        run.note(f"users waited up to {waited:.2f} s, until {instance.version if instance else target} had the traffic")


def share(run: Run, part: float) -> None:
    """Gives the candidate a share of the traffic beside the release before; 0 takes it away. Raises OperationFailed."""
    candidate = run.candidate
    if candidate is None:
        raise StepFailed(f"{run.candidate_id} is not there any more")
    began = time.monotonic()
    run.engine.promote(candidate, part)
    spent = (time.monotonic() - began) * 1000
    origin = run.stable.id if run.stable else None
    run.evidence.switches.append(Switch(run.clock(), origin, candidate.id, spent, part))


def revive(run: Run) -> None:
    """Starts the release before again if one of its services has ended meanwhile. Raises OperationFailed."""
    stable, release = run.stable, run.stable_release
    try:
        if stable is None or release is None or all(state.alive for state in run.engine.health(stable)):
            return
    except EngineError as fault:  # whether it answers the switch asks itself
        run.note(f"whether {stable.version if stable else ''} runs cannot be told: {fault}")
        return
    run.note(f"{stable.version} ({stable.id}) had ended and is started again")
    run.engine.start(release, stable.id)
    wait_healthy(run, stable)


def retire(run: Run) -> str:
    """Stops the release before, once the candidate is kept. What fails here is told, and changes nothing."""
    demand_serving(run)  # whatever happened since: never stop the release that serves
    stopped = []
    for instance in run.engine.instances():
        if instance.id != run.candidate_id:
            killed = [item.name for item in run.engine.stop(instance) if item.killed]
            if killed:
                run.note(f"{instance.version}: {', '.join(killed)} outlived the grace period and was killed")
            stopped.append(instance.version)
    return f"{', '.join(stopped)} stopped, its release is kept for a rollback" if stopped else "nothing to retire"


def prune(run: Run) -> None:
    """Removes logs and facts of instances nobody needs any more; only once the outcome is recorded."""
    keep = {run.candidate_id, *(item.id for item in run.engine.instances())}
    keep |= {run.stable.id} if run.stable else set()
    keep |= {f"r{item.id}" for item in run.store.deployments(run.environment.retention.instances)}
    run.engine.prune(keep)
