"""Whether a deployment may begin now: the conditions it has to wait for, asked in order before anything is touched.

Only a deployment is ever held up here: rollback, recover, keep and restore do not ask. An emergency asks too, goes on
whatever the answer, and owes what it went past.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gate.conditions.base import Ask, Condition, Question, unmet
from gate.conditions.signed import signed
from gate.conditions.soaked import soaked
from gate.conditions.ticked import ticked
from gate.conditions.times import freeze, window
from gate.config import Environment
from gate.errors import GateError
from gate.results import Reason

CONDITIONS: tuple[Ask, ...] = (signed, soaked, window, freeze, ticked)
"""Another kind of condition is another entry here."""


def waits(environment: Environment) -> bool:
    """Whether a deployment of this environment has anything to wait for at all."""
    schedule = environment.schedule
    timed = schedule.windows or schedule.freezes or schedule.soak
    return bool(environment.approval.roles or timed or environment.checklist.before)


@dataclass(frozen=True)
class Permission:
    """How all conditions of a deployment stood at one moment. ``emergency`` is why it may go past them, or empty."""

    at: datetime
    conditions: tuple[Condition, ...]
    emergency: str = ""

    @property
    def reasons(self) -> list[Reason]:
        """Why it may not begin; empty when it may."""
        return [reason for condition in self.conditions for reason in condition.reasons]

    @property
    def skipped(self) -> list[str]:
        """What an emergency goes past."""
        return [f"{item.name}: {item.detail}" for item in self.conditions if not item.met] if self.emergency else []


def ask(question: Question, emergency: str = "") -> Permission:
    """Asks every condition. Raises GateError where one cannot be told: that is no permission.

    In an emergency it is one that is not met: what cannot be told is gone past, and owed, like everything else.
    """
    found: list[Condition] = []
    for kind in CONDITIONS:
        try:
            found += kind(question)
        except GateError as fault:
            if not emergency:
                raise
            found.append(unmet(kind.__name__, f"cannot be told: {fault}", fault.next_step or ""))
    return Permission(question.now, tuple(found), emergency)
