"""The debts of an environment that are still open: emergencies that not every role has signed for."""

from __future__ import annotations

from gate.approval import councils
from gate.approval.book import Book
from gate.approval.debts import Debt, DebtState
from gate.config import Environment
from gate.records.store import Store


def open_debts(environment: Environment, store: Store) -> list[DebtState]:
    """Those that somebody still has to sign for, oldest first. Raises OperationFailed."""
    owed = [debt for debt in Book(store).debts() if debt.settled_at is None]
    return [state for debt in owed if (state := standing(environment, store, debt)).open]


def reason(store: Store, deployment: int) -> str:
    """Why a deployment was an emergency; empty where it was none. Raises OperationFailed."""
    return next((debt.reason for debt in Book(store).debts() if debt.deployment == deployment), "")


def standing(environment: Environment, store: Store, debt: Debt) -> DebtState:
    """How each role stands that has to sign for a debt: those of the moment it was made, whatever they are by now."""
    council = councils.of(environment, debt.subject, debt.deployers)
    given = Book(store).signoffs(deployment=debt.deployment)
    return DebtState(debt, council.afterwards(given, debt.subject, debt.deployment, debt.roles))
