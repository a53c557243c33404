"""Canary and bake: the candidate under a growing share of live traffic, kept as long as the evidence allows it."""

from __future__ import annotations

from gate.deployment.run import Facts, Run
from gate.live.judge import Standing
from gate.machine import shell
from gate.results import Decision, Reason, Verdict
from gate.steps.base import Held, Step, StepFailed
from gate.steps.promote import share

_PATIENCE = 30.0  # seconds beyond a step's own time until a watch that says nothing counts as broken


class Canary(Step):
    """Gives the candidate one share of the traffic after another, each until the evidence decides or its time is up."""

    name = "canary"

    def intend(self, run: Run) -> Facts:
        return {"stable": run.stable.id if run.stable else None}

    def do(self, run: Run, facts: Facts) -> str:
        if run.stable is None:
            return "first deployment: no release to share the traffic with"
        told = []
        for part, seconds in run.environment.traffic.steps:
            if part < 1:
                watch = run.watched()  # before the first request of a user
                share(run, part)
                watch.begin(part, seconds)
                told.append(f"{part:.0%} {_settled(run, seconds)}")
        return "; ".join(told)

    def undo(self, run: Run, facts: Facts) -> str:
        candidate = run.candidate
        if facts["stable"] is None or candidate is None:
            return ""
        share(run, 0)
        run.engine.drain(candidate, run.environment.traffic.drain_timeout)
        return "no share of the traffic any more"


class Bake(Step):
    """Watches the candidate with all the traffic to the end of its time: a fault may start late."""

    name = "bake"

    def do(self, run: Run, facts: Facts) -> str:
        share, seconds = run.environment.traffic.steps[-1]
        if run.watched().step is None:  # taken up again after it was held
            run.watched().begin(share, seconds)
        return f"100 % {_settled(run, seconds)}"


def _settled(run: Run, seconds: float) -> str:
    """Waits for the watch's decision on the present step; one line about it. Raises StepFailed, or Held on HOLD."""
    watch = run.watched()

    standing = Standing(None)

    def decided() -> bool:
        nonlocal standing
        standing = watch.standing
        run.view.progress(watch.progress)
        run.send_synthetic(watch)
        return standing.decision is not None

    try:
        in_time = shell.wait_until(decided, timeout=seconds + _PATIENCE, every=0.1)
    finally:
        run.stop_synthetic()
    if not in_time:
        text = f"the watch decided nothing within {seconds + _PATIENCE:g} s"
        raise Held(text, (Reason("watch", Decision.HOLD, text),))
    demand_go(run, standing)
    return f"for {watch.lasted:.1f} s: {_figures(standing)}"


def demand_go(run: Run, standing: Standing) -> None:
    """Writes a decided standing down. Raises StepFailed on ROLLBACK, and Held on anything else that is not GO."""
    decision = standing.decision or Decision.HOLD
    run.evidence.live.append((run.clock(), Verdict(decision, standing.reasons)))
    if decision is Decision.ROLLBACK:
        run.evidence.decided_at = run.evidence.decided_at or run.clock()
        raise StepFailed(_first(standing), standing.reasons)
    if decision is not Decision.GO:
        raise Held(_first(standing), standing.reasons)


def _first(standing: Standing) -> str:
    more = f" (and {len(standing.reasons) - 1} more)" if len(standing.reasons) > 1 else ""
    return f"{standing.decision}: {standing.reasons[0].text}{more}"


def _figures(standing: Standing) -> str:
    """The reasons that hold a figure from many samples, for the one line of a step."""
    told = [item.text.partition(": ")[2] for item in standing.reasons if item.signal == "error_rate"]
    told += [item.text.partition(",")[0] for item in standing.reasons if item.signal == "response_time"]
    return ", ".join(told)
