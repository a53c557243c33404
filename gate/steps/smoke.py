"""Smoke: the suite against the candidate before any traffic, at the front door after, and on a restored release."""

from __future__ import annotations

from contextlib import suppress

from gate.deployment.run import Facts, Run
from gate.errors import EngineError
from gate.judging import verdict
from gate.judging.confirm import Budget, Confirmation, short, suspect
from gate.judging.rules import SIGNALS
from gate.records.store import FLAKY
from gate.results import Case, Decision, Severity, SuiteResult, Verdict
from gate.steps.base import Held, Step, StepFailed
from gate.steps.watch import demand_go
from gate.suites.context import RESTORED

FLAKES_COUNTED_OVER = 20
"""Deployments that a flake budget is for, the one that runs included."""


class Smoke(Step):
    """Runs the smoke tests in one phase. ROLLBACK fails the step; HOLD holds a deployment for a person to decide."""

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
    # The phase that has to prove it all: where users wait for a migration there is no time before the front door.
    whole = only is None and phase == ("candidate" if run.way_back.lives and run.engine.beside else "front")
    least = accepted.cases if accepted and whole else None

    def decide(so_far: SuiteResult) -> Verdict | None:
        found = verdict.decided(so_far, environment.all_rules)
        if found is not None and not any(map(suspect, so_far.cases)):  # nothing is left that might not stand
            run.evidence.decided_at = run.evidence.decided_at or run.clock()
        return found

    result = run.suite(phase, decide, only, _confirmation(run, phase))
    owed = _owed(run) if whole else ()
    judged = verdict.after(result, environment.all_rules, least=least, owed=owed)
    run.record_suite(phase, result, judged, least=least, owed=owed)
    live = run.watch.standing if run.watch is not None else None
    if live is not None and live.decision is Decision.ROLLBACK:
        demand_go(run, live)
    if judged.decision is not Decision.GO:
        deciding = tuple(item for item in judged.reasons if item.decision is judged.decision)
        more = f" (and {len(deciding) - 1} more)" if len(deciding) > 1 else ""
        text = f"{judged.decision}: {deciding[0].text}{more}"
        # Only a deployment can wait for a person: the way back has to be proven.
        held = judged.decision is Decision.HOLD and run.action == "deploy" and phase != RESTORED
        raise Held(text, deciding) if held else StepFailed(text, deciding)
    return verdict.counted(result)


def _owed(run: Run) -> set[str]:
    """Signals of the team's own that rules are about and the checks have not measured: smoke tests owe them."""
    wanted = {rule.signal for rule in run.environment.all_rules if rule.signal not in SIGNALS and not rule.dry_run}
    cases = [case for suite in run.evidence.suites for case in suite.result.cases]
    return wanted - {figure.signal for case in cases for figure in case.measurements}


def _confirmation(run: Run, phase: str) -> Confirmation:
    """How failures of a phase are confirmed. A budget is for releases that want to come in: the way back is not
    measured by it."""
    charged = run.action == "deploy" and phase != RESTORED
    budget = _budget(run) if charged else None

    def begins(cases: int) -> None:
        run.view.progress(f"confirming {cases} failed case{'' if cases == 1 else 's'}")
        _stop_spare(run, phase)

    def forgiven(case: Case) -> None:
        left = ""
        if budget is not None:
            run.journal.write(phase, FLAKY, {"case": case.id, "message": case.attempts[0].message})
            left = f" ({len(budget.spent)} of {budget.limit} in the last {FLAKES_COUNTED_OVER} deployments)"
        run.note(f"flaky: {case.title or case.id}: {case.confirmation}{left}")

    return Confirmation(budget, begins=begins, forgiven=forgiven)


def _budget(run: Run) -> Budget:
    spent = [f"{short(flake.case)} in {flake.deployment}" for flake in run.store.flakes(FLAKES_COUNTED_OVER)]
    return Budget(run.environment.smoke.flake_budget, spent)


def _stop_spare(run: Run, phase: str) -> None:
    """Ends the second instance that a case had started when its suite was stopped: the cases start one of their own."""
    under_test = run.stable if phase == RESTORED else run.candidate
    with suppress(EngineError):  # a case that needs one will tell
        spare = run.engine.find(f"{under_test.id}x") if under_test else None
        if spare is not None:
            run.engine.stop(spare, grace=0)
