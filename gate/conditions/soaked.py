"""The same digest has served on another environment for long enough, and its monitoring there stayed green."""

from __future__ import annotations

from gate.conditions import elsewhere, soak
from gate.conditions.base import Condition, Question, unmet
from gate.monitoring.phases import moment


def soaked(question: Question) -> list[Condition]:
    """One condition where ``[schedule] soak`` names an environment."""
    wanted = question.environment.schedule.soak
    if wanted is None:
        return []
    digest = question.release.digest
    history = elsewhere.history(wanted.environment, question.environment.root, digest, question.now)
    found = soak.judge(digest, history, wanted.hours, question.now)
    if not found.fault:
        return [Condition("soak", found.detail)]
    command = question.command(f"--version {question.release.version}")
    later = f"{command}   from {moment(found.enough_at)} on" if found.enough_at is not None else ""
    return [unmet("soak", found.fault, later or f"python deploy_gate.py {wanted.environment} status")]
