"""Start and health: the candidate runs beside the release that serves, and must prove that it lives."""

from __future__ import annotations

import time

from gate.deployment.evidence import reason
from gate.deployment.run import Facts, Run
from gate.engines.base import NOT_HERE, Instance, ServiceState
from gate.errors import EngineError, OperationFailed
from gate.machine import shell
from gate.steps.base import Step, StepFailed

LOG_LINES = 200
LONGEST_GRACE = 30.0
"""Seconds an instance gets to end while users wait."""


class Start(Step):
    """Starts every service of the candidate, without traffic."""

    name = "start"

    def do(self, run: Run, facts: Facts) -> str:
        instance = run.engine.start(run.release, run.candidate_id)
        return f"{instance.id}: {', '.join(run.environment.services)}"

    def undo(self, run: Run, facts: Facts) -> str:
        for instance_id in (f"{run.candidate_id}x", run.candidate_id):  # the second one that a killed suite left
            instance = run.engine.find(instance_id)
            if instance is not None:
                self._end(run, instance)
        return "candidate stopped"

    def _end(self, run: Run, instance: Instance) -> None:
        keep_log(run, instance)
        serving = run.engine.stable()
        if serving is not None and serving.id == instance.id:
            raise OperationFailed(f"{instance.id} still gets the traffic, so it is not stopped")
        # Users who wait for the schema to be taken back do not wait for a request that hangs.
        run.engine.stop(instance, run.pause.within(LONGEST_GRACE) if run.pause.going_on else None)


class Health(Step):
    """Waits until every service of the candidate is healthy; one that dies fails the step at once."""

    name = "health"

    def do(self, run: Run, facts: Facts) -> str:
        instance = run.candidate
        if instance is None:
            raise StepFailed(f"{run.candidate_id} is not there any more")
        seconds, asked = wait_healthy(run, instance)
        where = f" on {len(run.environment.places)} servers" if run.environment.places else ""
        return f"healthy{where} after {seconds:.1f} s, asked {asked} times"


def wait_healthy(run: Run, instance: Instance) -> tuple[float, int]:
    """Waits for all services; returns seconds and how often was asked. Raises StepFailed with each service's state."""
    timeout = run.pause.within(max(service.start_timeout for service in run.environment.services.values()))
    began = time.monotonic()
    seen: list[list[ServiceState]] = []

    def settled() -> bool:
        states = run.engine.health(instance)
        seen.append(states)
        run.view.progress("; ".join(told(state) for state in states if not state.healthy))
        return all(state.healthy for state in states) or any(not state.alive for state in states)

    shell.wait_until(settled, timeout=timeout, every=0.1)
    bad = [state for state in seen[-1] if not state.healthy]
    seconds = time.monotonic() - began
    if bad:
        if instance.id == run.candidate_id:
            keep_log(run, instance)
        text = f"{'; '.join(map(told, bad))} (after {seconds:.1f} s of {timeout:g} s, asked {len(seen)} times)"
        raise StepFailed(text, (reason("health", f"not healthy: {text}"),))
    remark(run, seen[-1])
    return seconds, len(seen)


def remark(run: Run, states: list[ServiceState]) -> None:
    """Notes, once, what a person should know of services although they are healthy."""
    for state in states:
        text = f"{state.service}: {state.detail}"
        if state.healthy and state.detail and text not in run.evidence.notes:
            run.note(text)


def told(state: ServiceState) -> str:
    """What is wrong with a service that is not healthy."""
    if not state.alive and state.detail == NOT_HERE:
        return f"{state.name} {state.detail}"
    if not state.alive:
        return f"{state.name} {state.ended}"
    return f"{state.name} {state.detail or 'is not healthy'}"


def keep_log(run: Run, instance: Instance) -> None:
    """Keeps the end of an instance's log for the report, before it is stopped."""
    if not run.evidence.logs:
        try:
            run.evidence.logs = run.engine.logs(instance, last=LOG_LINES)
        except EngineError as fault:
            run.evidence.logs = [f"the log could not be read: {fault}"]
