"""Every role has signed for exactly this release, and under the checks and rules of now."""

from __future__ import annotations

from gate.approval import councils
from gate.conditions.base import Condition, Question, unmet


def signed(question: Question) -> list[Condition]:
    """One condition for each role of ``[approval]``."""
    section = question.environment.approval
    if not section.roles:
        return []
    given = question.book.signoffs(version=question.release.version)
    council = councils.of(question.environment, question.subject, question.deployers)
    found = []
    for state in council.standing(given, question.subject, question.now):
        name = f"sign-off {state.role}"
        if state.counts is not None:
            until = f"{state.counts.expires_at:%Y-%m-%d}"
            found.append(Condition(name, f"{state.counts.by}, valid to {until}", signoff=state.counts))
            continue
        command = question.command(f"approve --role {state.role} --version {question.release.version}")
        found.append(unmet(name, f"sign-off {state.role}: {state.why}", command, detail=state.why))
    return found
