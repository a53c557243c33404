"""What the report keeps of whose word a deployment had: conditions, sign-offs, the checklist, an emergency, debts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

if TYPE_CHECKING:
    from gate.approval.checklists import ItemState
    from gate.approval.debts import DebtState
    from gate.approval.signoffs import SignOff
    from gate.conditions.permission import Permission


@dataclass(frozen=True)
class ConditionRecord:
    """One thing the deployment had to wait for, and how it stood when it was asked last before anything was touched."""

    name: str
    met: bool
    detail: str


@dataclass(frozen=True)
class SignOffRecord:
    """A sign-off that counted, and the hashes it was given for; ``signed``: with an SSH key, else by a login's word."""

    role: str
    by: str
    login: str
    signed_at: AwareDatetime
    expires_at: AwareDatetime
    digest: str
    migrations: str
    suite: str
    policy: str
    signed: bool = False

    @staticmethod
    def of(item: SignOff) -> SignOffRecord:
        subject = item.subject
        hashes = (subject.digest, subject.migrations, subject.suite, subject.policy)
        return SignOffRecord(
            item.role, item.by, item.login, item.signed_at, item.expires_at, *hashes, signed=bool(item.signature)
        )


@dataclass(frozen=True)
class ItemRecord:
    """An item of the checklist for the release; ``by`` empty: it was open when the run ended."""

    phase: str
    item: str
    text: str
    by: str = ""
    at: AwareDatetime | None = None

    @staticmethod
    def of(state: ItemState) -> ItemRecord:
        tick = state.tick
        return ItemRecord(state.phase, state.item, state.text, tick.by if tick else "", tick.at if tick else None)


@dataclass(frozen=True)
class DebtRecord:
    """An emergency, of this deployment or an earlier one, that roles still had to sign for when the run ended."""

    deployment: int
    version: str
    reason: str
    by: str
    at: AwareDatetime
    due_at: AwareDatetime
    missing: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @staticmethod
    def of(state: DebtState) -> DebtRecord:
        debt = state.debt
        version = debt.subject.version
        return DebtRecord(
            debt.deployment, version, debt.reason, debt.by, debt.at, debt.due_at, tuple(state.missing), debt.skipped
        )


@dataclass(frozen=True)
class PermissionRecord:
    """Whose word the deployment had. ``emergency``: why it did not wait for what was not met, empty when it did."""

    conditions: tuple[ConditionRecord, ...] = ()
    emergency: str = ""
    signoffs: tuple[SignOffRecord, ...] = ()
    checklist: tuple[ItemRecord, ...] = ()
    debts: tuple[DebtRecord, ...] = ()

    @staticmethod
    def of(found: Permission | None, items: Sequence[ItemState], debts: Sequence[DebtState]) -> PermissionRecord | None:
        """None where there is nothing to tell."""
        conditions = found.conditions if found is not None else ()
        made = PermissionRecord(
            conditions=tuple(ConditionRecord(item.name, item.met, item.detail) for item in conditions),
            emergency=found.emergency if found is not None and found.skipped else "",
            signoffs=tuple(SignOffRecord.of(item.signoff) for item in conditions if item.signoff is not None),
            checklist=tuple(map(ItemRecord.of, items)),
            debts=tuple(map(DebtRecord.of, debts)),
        )
        return made if made != PermissionRecord() else None
