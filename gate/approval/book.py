"""Sign-offs, ticks and debts as the gate remembers them, beside the deployments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gate.approval.checklists import Tick
from gate.approval.debts import Debt
from gate.approval.signoffs import SignOff, Subject
from gate.records.store import Store

_META = sa.MetaData()


def _subject() -> list[sa.Column[Any]]:
    return [sa.Column(item.name, sa.String, nullable=False) for item in fields(Subject)]


_SIGNOFFS = sa.Table(
    "signoffs",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("login", sa.String, nullable=False),
    *_subject(),
    sa.Column("signed_at", sa.String, nullable=False),
    sa.Column("expires_at", sa.String, nullable=False),
    sa.Column("deployment", sa.Integer),
    sa.Column("signature", sa.String, nullable=False),
    sa.Column("revoked_at", sa.String),
    sa.Column("revoked_by", sa.String, nullable=False),
)
_TICKS = sa.Table(
    "checklist_ticks",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    *(sa.Column(name, sa.String, nullable=False) for name in ("item", "text", "digest", "version")),
    sa.Column("done", sa.Boolean, nullable=False),
    *(sa.Column(name, sa.String, nullable=False) for name in ("by", "login", "at")),
)
_DEBTS = sa.Table(
    "debts",
    _META,
    sa.Column("deployment", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.String, nullable=False) for name in ("reason", "by", "at")),
    *_subject(),
    *(sa.Column(name, sa.JSON, nullable=False) for name in ("roles", "skipped", "deployers")),
    sa.Column("settled_at", sa.String),
)


class Book:
    """What people gave their word for. Raises OperationFailed when it cannot be read or written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sign(self, item: SignOff) -> None:
        """Remembers a sign-off."""
        row = {key: value for key, value in vars(item).items() if key not in ("id", "subject", "revoked_at")}
        row |= asdict(item.subject) | {"signed_at": _out(item.signed_at), "expires_at": _out(item.expires_at)}
        self._store.execute(sa.insert(_SIGNOFFS).values(**row))

    def revoke(self, items: Sequence[SignOff], by: str, at: datetime) -> None:
        """Takes sign-offs back; they stay on record."""
        ids = [item.id for item in items]
        statement = sa.update(_SIGNOFFS).where(_SIGNOFFS.c.id.in_(ids), _SIGNOFFS.c.revoked_at.is_(None))
        self._store.execute(statement.values(revoked_at=_out(at), revoked_by=by))

    def signoffs(self, *, version: str | None = None, deployment: int | None = None) -> list[SignOff]:
        """Sign-offs for a version that is to come, or for a deployment afterwards; in the order they were given."""
        wanted = _SIGNOFFS.c.deployment == deployment
        if deployment is None:
            wanted = sa.and_(_SIGNOFFS.c.deployment.is_(None), _SIGNOFFS.c.version == version)
        query = sa.select(_SIGNOFFS).where(wanted).order_by(_SIGNOFFS.c.id)
        return [
            SignOff(
                role=row.role,
                by=row.by,
                login=row.login,
                subject=_subject_of(row),
                signed_at=datetime.fromisoformat(row.signed_at),
                expires_at=datetime.fromisoformat(row.expires_at),
                deployment=row.deployment,
                signature=row.signature,
                revoked_at=datetime.fromisoformat(row.revoked_at) if row.revoked_at else None,
                revoked_by=row.revoked_by,
                id=row.id,
            )
            for row in self._store.rows(query)
        ]

    def tick(self, item: Tick) -> None:
        """Remembers that an item was ticked, or that this was taken back."""
        self._store.execute(sa.insert(_TICKS).values(**vars(item) | {"at": _out(item.at)}))

    def ticks(self, digest: str) -> list[Tick]:
        """Everything that was ticked and unticked for a release, in its order."""
        query = sa.select(_TICKS).where(_TICKS.c.digest == digest).order_by(_TICKS.c.id)
        return [
            Tick(
                row.item, row.text, row.digest, row.version, row.done, row.by, row.login, datetime.fromisoformat(row.at)
            )
            for row in self._store.rows(query)
        ]

    def owe(self, debt: Debt) -> None:
        """Remembers a debt; it is on disk when this returns."""
        row = {key: value for key, value in vars(debt).items() if key != "subject"} | asdict(debt.subject)
        row |= {key: list(row[key]) for key in ("roles", "skipped", "deployers")} | {"at": _out(debt.at)}
        self._store.execute(sa.insert(_DEBTS).values(**row))

    def settle(self, deployment: int, at: datetime | None) -> None:
        """Every role has signed for a debt; None: not any more, for one has taken that back."""
        statement = sa.update(_DEBTS).where(_DEBTS.c.deployment == deployment)
        self._store.execute(statement.values(settled_at=_out(at) if at is not None else None))

    def debts(self) -> list[Debt]:
        """Every debt that was ever made, oldest first."""
        return [
            Debt(
                deployment=row.deployment,
                reason=row.reason,
                by=row.by,
                deployers=tuple(row.deployers),
                at=datetime.fromisoformat(row.at),
                subject=_subject_of(row),
                roles=tuple(row.roles),
                skipped=tuple(row.skipped),
                settled_at=datetime.fromisoformat(row.settled_at) if row.settled_at else None,
            )
            for row in self._store.rows(sa.select(_DEBTS).order_by(_DEBTS.c.deployment))
        ]


def _subject_of(row: Any) -> Subject:
    return Subject(**{item.name: getattr(row, item.name) for item in fields(Subject)})


def _out(at: datetime) -> str:
    return at.isoformat()
