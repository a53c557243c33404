"""Smoke: the suite against the candidate before any traffic, at the front door after, and on a restored release."""

from __future__ import annotations

from gate import verdict
from gate.evidence import reason
from gate.results import Decision, Severity, SuiteResult, Verdict
from gate.run import Facts, Run
from gate.steps.base import Step, StepFailed


class Smoke(Step):
    """Runs the smoke tests in one phase. Anything but GO fails the step: inconclusive is not proven."""

    def __init__(self, name: str, phase: str, only: list[Severity] | None = None) -> None:
        self.name = name
        self._phase = phase
        self._only = only

    def do(self, run: Run, facts: Facts) -> str:
        return judge(run, self._phase, self._only)


def judge(run: Run, phase: str, only: list[Severity] | None = None) -> str:
    """Runs a phase of the smoke suite and judges it; returns one line. Raises StepFailed with the reasons."""
    environment = run.environment
    accepted = next(iter(run.store.accepted()), None)
    least = accepted.cases if accepted and only is None and phase == "candidate" else None

    def decide(so_far: SuiteResult) -> Verdict | None:
        certain = verdict.decided(so_far, environment.all_rules)
        if certain is not None:
            run.evidence.decided_at = run.evidence.decided_at or run.clock()
        return certain

    result = run.suite(phase, decide, only)
    judged = verdict.after(result, environment.all_rules, least=least)
    run.record_suite(phase, result, judged)
    if judged.decision is not Decision.GO:
        deciding = tuple(item for item in judged.reasons if item.decision is judged.decision)
        more = f" (and {len(deciding) - 1} more)" if len(deciding) > 1 else ""
        held = () if judged.decision is Decision.ROLLBACK else (reason("held", _HELD, judged.decision),)
        raise StepFailed(f"{judged.decision}: {deciding[0].text}{more}", deciding + held)
    return verdict.counted(result)


_HELD = "inconclusive: not proven good, and nobody is asked to decide while nothing is watched, so it is undone"
