"""The debts of an environment that are still open: emergencies that not every role has signed for."""

from __future__ import annotations

from pathlib import Path

from gate.approval import councils
from gate.approval.book import Book
from gate.approval.debts import Debt, DebtState
from gate.config import Environment
from gate.releases import known
from gate.store import Store


def open_debts(environment: Environment, store: Store) -> list[DebtState]:
    """Those that somebody still has to sign for, oldest first. Raises OperationFailed."""
    owed = [debt for debt in Book(store).debts() if debt.settled_at is None and debt.roles]
    return [state for debt in owed if (state := standing(environment, store, debt)).open]


def standing(environment: Environment, store: Store, debt: Debt) -> DebtState:
    """How each role stands that has to sign for a debt; a role that is none any more has not to."""
    roles = [role for role in debt.roles if role in environment.approval.roles]
    run = next((item for item in store.deployments() if item.id == debt.deployment), None)
    release = known(
        debt.subject.version, debt.subject.digest, run.commit if run else None, Path(run.folder if run else "")
    )
    council = councils.of(environment, release, debt.deployers)
    given = Book(store).signoffs(deployment=debt.deployment)
    return DebtState(debt, council.afterwards(given, debt.subject, debt.deployment, roles))
