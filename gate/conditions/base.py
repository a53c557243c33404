"""What a condition is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from gate.approval import subjects
from gate.approval.book import Book
from gate.approval.signoffs import SignOff, Subject
from gate.config import Environment
from gate.records.store import Store
from gate.releases import Release
from gate.results import Decision, Reason


@dataclass(frozen=True)
class Condition:
    """One thing a deployment waits for: what it is about, one line on how it stands, and the reasons while it is not
    met. ``signoff`` is the one that met it, if one did."""

    name: str
    detail: str
    reasons: tuple[Reason, ...] = ()
    signoff: SignOff | None = None

    @property
    def met(self) -> bool:
        return not self.reasons

    def __str__(self) -> str:
        return f"{'met' if self.met else 'not met'}: {self.name}: {self.detail}"


@dataclass(frozen=True)
class Question:
    """May this release be deployed here, ``now``, by these ``deployers`` (everything they are known as)?"""

    environment: Environment
    release: Release
    store: Store
    now: datetime
    deployers: Sequence[str]

    @property
    def book(self) -> Book:
        return Book(self.store)

    @cached_property
    def subject(self) -> Subject:
        """What a sign-off must be for. Raises OperationFailed where it cannot be told."""
        return subjects.of(self.environment, self.release)

    def command(self, words: str) -> str:
        """A command on this environment, for a person to type."""
        return f"python deploy_gate.py {self.environment.name} {words}"


Ask = Callable[[Question], list[Condition]]
"""Returns the conditions that an environment has of one kind, none where it has none. Raises OperationFailed."""


def unmet(name: str, text: str, next_step: str, *, detail: str = "") -> Condition:
    """A condition that is not met, for one reason."""
    reason = Reason(name.partition(" ")[0], Decision.NO_GO, text, next_step=next_step)
    return Condition(name, detail or text, (reason,))
