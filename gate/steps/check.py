"""Checks: the suite that runs before anything is touched, its readiness score, GO or NO-GO."""

from __future__ import annotations

from gate.deployment.run import Run
from gate.errors import EngineError, Refused, SuiteError
from gate.judging import readiness, verdict
from gate.judging.way_back import WayBack
from gate.results import Decision, Outcome, Reason, Severity, SuiteResult, Verdict


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
    judged = _with_more(judged, [*_obstacles(run), *_gaps(run, result)])
    run.evidence.readiness = scored
    run.way_back = WayBack.told(result.cases)
    run.record_suite("checks", result, judged)
    line = (
        f"{verdict.counted(result)} · readiness {scored.total:.0f}/100 · risk {scored.risk} · "
        f"confidence {scored.confidence:.2f}"
    )
    if judged.decision is not Decision.GO:
        run.evidence.fail([item for item in judged.reasons if item.decision is judged.decision], run.clock())
        raise Refused(f"{judged.decision} · {line}", next_step="fix the gaps above, then run the same command again")
    return line


def _with_more(judged: Verdict, reasons: list[Reason]) -> Verdict:
    """NO-GO for what no check looks at, before what the checks found."""
    if not reasons:
        return judged
    kept = () if judged.decision is Decision.GO else judged.reasons
    return Verdict(Decision.NO_GO, (*reasons, *kept))


def _obstacles(run: Run) -> list[Reason]:
    """Why the engine could not run the release, or not go back from it."""
    try:
        found = run.engine.obstacles(run.release)
    except EngineError as fault:
        found = [f"whether it can run the release cannot be told: {fault}"]
    return [Reason("engine", Decision.NO_GO, text) for text in found]


def _gaps(run: Run, result: SuiteResult) -> list[Reason]:
    """Fewer checks than the last accepted release had, or a smoke suite that could prove nothing."""
    reasons = []
    accepted = next(iter(run.store.accepted()), None)
    if accepted is not None and len(result.planned) < accepted.checks:
        text = f"{len(result.planned)} checks were collected, {accepted.checks} for the last accepted release"
        reasons.append(Reason("coverage", Decision.NO_GO, text, len(result.planned), f">= {accepted.checks}"))
    try:
        planned = run.collect_smoke()
    except SuiteError as fault:
        reasons.append(Reason("coverage", Decision.NO_GO, f"smoke: {fault}"))
    else:
        if not any(label.severity is Severity.CRITICAL for label in planned.labels.values()):
            text = f"none of {len(planned.ids)} smoke cases is critical, so a rollback could not be proven"
            reasons.append(Reason("coverage", Decision.NO_GO, text, 0, ">= 1"))
        if accepted is not None and len(planned.ids) < accepted.cases:
            text = f"{len(planned.ids)} smoke cases were collected, {accepted.cases} ran for the last accepted release"
            reasons.append(Reason("coverage", Decision.NO_GO, text, len(planned.ids), f">= {accepted.cases}"))
    return reasons
