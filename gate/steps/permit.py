"""Permission: what a deployment has to wait for, before the checks and once more before anything is touched."""

from __future__ import annotations

from gate.approval import attempts, logins, subjects
from gate.approval.book import Book
from gate.approval.debts import Debt
from gate.approval.signoffs import ANYBODY
from gate.conditions import permission
from gate.conditions.base import Question
from gate.conditions.permission import Permission
from gate.deployment.run import Run
from gate.errors import Refused
from gate.machine import bytecode


def write_down(run: Run) -> None:
    """Keeps what the checklist says now, for whoever asks of this run later. Raises OperationFailed."""
    if run.environment.checklist.items:
        run.journal.write("checklist", attempts.LISTED, attempts.listed(run.environment))


def ask(run: Run) -> Permission:
    """How the conditions stand now, kept for the report. Raises OperationFailed where that cannot be told."""
    if run.action == "deploy" and run.environment.approval.roles and not run.options.emergency:
        bytecode.forget(subjects.places(run.environment))  # it would run in place of what was signed for
    question = Question(run.environment, run.release, run.store, run.clock(), logins.known_as(run.by))
    found = permission.ask(question, run.options.emergency)
    run.evidence.permission = found
    return found


def demand(run: Run, found: Permission) -> str:
    """One line about it. Raises Refused with every reason why it may not begin, unless it is an emergency."""
    if found.skipped:
        return f"EMERGENCY, says {run.by}: {found.emergency}; goes past {len(found.skipped)} of {len(found.conditions)}"
    if found.reasons:
        raise Refused("\n".join(item.text for item in found.reasons))
    return " · ".join(f"{item.name}: {item.detail}" for item in found.conditions)


def owe(run: Run, found: Permission) -> None:
    """Writes down what an emergency goes past, before it does. Raises OperationFailed: without it nothing is begun."""
    if not found.skipped:
        return
    question = Question(run.environment, run.release, run.store, found.at, ())
    Book(run.store).owe(
        Debt(
            deployment=run.deployment,
            reason=found.emergency,
            by=run.by,
            deployers=tuple(logins.known_as(run.by)),
            at=found.at,
            subject=question.subject,
            roles=tuple(run.environment.approval.roles) or (ANYBODY,),
            skipped=tuple(found.skipped),
        )
    )
