"""Every item of the checklist that has to be so before a deployment was ticked for this one."""

from __future__ import annotations

from gate.approval import attempts, checklists
from gate.conditions.base import Condition, Question
from gate.results import Decision, Reason


def ticked(question: Question) -> list[Condition]:
    """One condition for the ``before`` items of ``[checklist]``, with a reason for each that is open."""
    section = question.environment.checklist
    if not section.before:
        return []
    states = attempts.for_next(question.environment, question.store, question.release.digest, question.now)
    still_open = checklists.open_items(states, "before")
    done = f"{len(section.before) - len(still_open)} of {len(section.before)} items are ticked"
    reasons = tuple(
        Reason(
            "checklist",
            Decision.NO_GO,
            f"checklist: {state.text} ({state.item}){', ' if state.why else ''}{state.why}",
            next_step=question.command(f"checklist tick {state.item} --version {question.release.version}"),
        )
        for state in still_open
    )
    return [
        Condition("checklist", f"{done}{': open: ' if reasons else ''}{', '.join(s.item for s in still_open)}", reasons)
    ]
