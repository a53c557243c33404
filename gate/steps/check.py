"""Checks: the suite that runs before anything is touched, its readiness score, GO or NO-GO."""

from __future__ import annotations

from gate import readiness, verdict
from gate.errors import Refused
from gate.results import Decision, Outcome, SuiteResult, Verdict
from gate.run import Run


def check(run: Run) -> str:
    """Runs the checks and returns one line about them. Raises Refused unless the verdict is GO."""
    environment = run.environment

    def never(_so_far: SuiteResult) -> Verdict | None:
        return None  # a person fixing gaps wants to see all of them, and nothing is at risk yet

    result = run.suite("checks", never)
    outcomes = [item.outcome for item in run.store.deployments() if item.action == "deploy"]
    scored = readiness.assess(
        result,
        environment.readiness.weights,
        succeeded=outcomes.count(Outcome.RELEASED),
        failed=outcomes.count(Outcome.ROLLED_BACK) + outcomes.count(Outcome.ROLLBACK_FAILED),
    )
    judged = verdict.before(result, scored, environment.readiness.minimum)
    run.evidence.readiness = scored
    run.record_suite("checks", result, judged)
    line = (
        f"{verdict.counted(result)} · readiness {scored.total:.0f}/100 · risk {scored.risk} · "
        f"confidence {scored.confidence:.2f}"
    )
    if judged.decision is not Decision.GO:
        run.evidence.fail([item for item in judged.reasons if item.decision is judged.decision], run.clock())
        raise Refused(f"{judged.decision} · {line}", next_step="fix the gaps above, then run the same command again")
    return line
