"""What people still owe an environment, told: emergencies to be signed for, items of the checklist to be ticked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gate.approval import attempts, checklists, owing
from gate.approval.book import Book
from gate.approval.checklists import ItemState
from gate.approval.debts import DebtState
from gate.approval.signoffs import SignOff
from gate.config import Environment
from gate.errors import OperationFailed
from gate.records.store import Deployment, Store

Document = dict[str, Any]


@dataclass(frozen=True)
class Owed:
    """Debts and items for ``--json``, and the lines that tell a person. ``recorded``: whether what the checklist
    said then is on record."""

    debts: list[Document] = field(default_factory=list)
    checklist: list[Document] = field(default_factory=list)
    signoffs: list[Document] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    recorded: bool = True


def look(environment: Environment, store: Store, digest: str | None, now: datetime) -> Owed:
    """Every open debt, and what is still to be done after the deployment of the release with ``digest``, which serves.

    Raises OperationFailed.
    """
    debts = owing.open_debts(environment, store)
    items: list[ItemState] = []
    if digest is not None and environment.checklist.items:
        run = attempts.last_of(store, digest)
        states = (
            attempts.for_run(environment, store, run) if run else attempts.for_next(environment, store, digest, now)
        )
        items = checklists.open_items(states, "after")
    door = f"python deploy_gate.py {environment.name}"
    lines = _debt_lines(debts, now, door)
    if items:
        lines.append(f"open after       {'; '.join(f'{item.text} ({item.item})' for item in items)}")
        lines.append(f"                 {door} checklist tick {items[0].item}")
    return Owed([debt_row(state) for state in debts], [item_row(state) for state in items], [], lines)


def told(environment: Environment, store: Store | None, now: datetime) -> tuple[str, ...]:
    """A sentence about each emergency that is still to be signed for; that it cannot be told is one as well.

    ``store``: records that are open already.
    """
    try:
        return tuple(state.told(now) for state in owing.open_debts(environment, store or Store.of(environment)))
    except OperationFailed as fault:
        return (f"whether an emergency is still to be signed for cannot be told: {fault}",)


def of_deployment(environment: Environment, store: Store, deployment: Deployment, now: datetime) -> Owed:
    """Who signed for one deployment's release, what was ticked for it, and its debt. Raises OperationFailed.

    The checklist is the one of that time, not today's, which may ask for more; where it is not on record, that is said.
    """
    book = Book(store)
    given = [*book.signoffs(version=deployment.version), *book.signoffs(deployment=deployment.id)]
    given = [item for item in given if item.subject.digest == deployment.digest and _in_time(item, deployment)]
    debts = [owing.standing(environment, store, debt) for debt in book.debts() if debt.deployment == deployment.id]
    states = attempts.as_it_was(store, deployment)
    lines = []
    signed = []
    for item in given:
        revoked = f", revoked by {item.revoked_by}, {item.revoked_at:%Y-%m-%d %H:%M} UTC" if item.revoked_at else ""
        when = "afterwards, " if item.deployment is not None else ""
        lines.append(f"  signed  {item.role} by {item.by}, {when}{item.signed_at:%Y-%m-%d %H:%M} UTC{revoked}")
        signed.append(
            {"role": item.role, "by": item.by, "signed_at": item.signed_at.isoformat(), "revoked": bool(revoked)}
        )
    asked = deployment.action == "deploy" and (environment.checklist.items or book.ticks(deployment.digest))
    recorded = states is not None or not asked
    if not recorded:
        lines.append("  what the checklist said then is not on record")
    for state in states or []:
        by = f"{state.tick.by}, {state.tick.at:%Y-%m-%d %H:%M} UTC" if state.tick is not None else "open"
        lines.append(f"  {state.phase:<8}{state.text} ({state.item}): {by}")
    lines += [f"  debt    {state.told(now)}" for state in debts]
    items = [item_row(state) for state in states or []]
    return Owed([debt_row(state) for state in debts], items, signed, lines, recorded)


def _in_time(item: SignOff, deployment: Deployment) -> bool:
    """Whether a sign-off is about a deployment: given for it afterwards, or before it ended."""
    ended = deployment.ended_at
    return item.deployment is not None or ended is None or item.signed_at <= datetime.fromisoformat(ended)


def _debt_lines(debts: Sequence[DebtState], now: datetime, door: str) -> list[str]:
    lines = []
    for state in debts:
        lines.append(f"debt             {state.told(now)}")
        command = f"{door} approve --role {state.missing[0]} --deployment {state.debt.deployment}"
        lines.append(f"                 {command}")
    return lines


def debt_row(state: DebtState) -> Document:
    """A debt for ``--json``."""
    debt = state.debt
    return {
        "deployment": debt.deployment,
        "version": debt.subject.version,
        "reason": debt.reason,
        "by": debt.by,
        "at": debt.at.isoformat(),
        "due_at": debt.due_at.isoformat(),
        "skipped": list(debt.skipped),
        "missing": state.missing if state.open else [],
        "open": state.open,
    }


def item_row(state: ItemState) -> Document:
    """An item of the checklist for ``--json``."""
    return {
        "phase": state.phase,
        "item": state.item,
        "text": state.text,
        "by": state.tick.by if state.tick else None,
        "at": state.tick.at.isoformat() if state.tick else None,
        "why": state.why,
    }
