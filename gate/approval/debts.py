"""What an emergency leaves: a deployment that nobody has signed for, due within a day. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gate.approval.signoffs import ANYBODY, RoleState, Subject

DUE = timedelta(hours=24)


@dataclass(frozen=True)
class Debt:
    """A deployment that was made past what it had to wait for: why, by whom (``deployers``: all that they are known
    as), what was ``skipped``.

    ``roles`` are those that have to sign for it, ``subject`` what for: the release and the hashes of that moment.
    """

    deployment: int
    reason: str
    by: str
    deployers: tuple[str, ...]
    at: datetime
    subject: Subject
    roles: tuple[str, ...]
    skipped: tuple[str, ...]
    settled_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        return self.at + DUE


@dataclass(frozen=True)
class DebtState:
    """A debt and how each of its roles stands; of one that was settled nobody asks any more."""

    debt: Debt
    roles: Sequence[RoleState]

    @property
    def missing(self) -> list[str]:
        """Roles that have not signed for it yet."""
        return [state.role for state in self.roles if state.counts is None]

    @property
    def open(self) -> bool:
        return self.debt.settled_at is None and bool(self.missing)

    def told(self, now: datetime) -> str:
        """One sentence about it, without the deployment's reasons."""
        debt = self.debt
        what = f"deployment {debt.deployment} ({debt.subject.version}) was an emergency of {debt.by}: {debt.reason}"
        if not self.open:
            return f"{what}; signed for since"
        due = "overdue since" if now >= debt.due_at else "due by"
        return (
            f"{what}; to be signed by {', '.join(map(_called, self.missing))}, {due} {debt.due_at:%Y-%m-%d %H:%M} UTC"
        )


def _called(role: str) -> str:
    return "anybody but who deployed it" if role == ANYBODY else role
