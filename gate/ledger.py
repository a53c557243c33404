"""What the records hold beside deployments and their journals: the seals of their evidence."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from gate.store import Store

_META = sa.MetaData()
_SEALS = sa.Table(
    "seals",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("deployment", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)


@dataclass(frozen=True)
class Seal:
    """The SHA-256 of a deployment's manifest, and when it was made."""

    sha256: str
    at: str


class Ledger:
    """Seals by deployment. Raises OperationFailed when they cannot be read or written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def seal(self, deployment: int, sha256: str) -> None:
        """Remembers the manifest of a deployment's evidence; evidence that grew is sealed once more."""
        self._store.execute(sa.insert(_SEALS).values(deployment=deployment, sha256=sha256, at=self._store.now()))

    def seals(self, deployment: int) -> list[Seal]:
        """Every seal of a deployment, newest first; only the newest is of what lies in ``reports`` now."""
        query = sa.select(_SEALS).where(_SEALS.c.deployment == deployment).order_by(_SEALS.c.id.desc())
        return [Seal(row.sha256, row.at) for row in self._store.rows(query)]
