"""What the records hold beside deployments and their journals: seals of evidence, gaps, and how ready releases were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gate.judging.gaps import GONE, RESOLVED, Changes, Gap, Seen
from gate.records.store import Store
from gate.results import Severity

_META = sa.MetaData()
_SEALS = sa.Table(
    "seals",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("deployment", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
_GAPS = sa.Table(
    "gaps",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    *(sa.Column(name, sa.String, nullable=False) for name in ("case", "category", "severity", "title", "message")),
    sa.Column("opened_in", sa.Integer, nullable=False),
    sa.Column("opened_at", sa.String, nullable=False),
    sa.Column("seen_in", sa.Integer, nullable=False),
    sa.Column("closed_in", sa.Integer),
    sa.Column("closed_at", sa.String),
    sa.Column("closed_as", sa.String),
)
_READINESS = sa.Table(
    "readiness",
    _META,
    sa.Column("deployment", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("total", sa.Float, nullable=False),
    sa.Column("categories", sa.JSON, nullable=False),
)


@dataclass(frozen=True)
class Seal:
    """The SHA-256 of a deployment's manifest, and when it was made."""

    sha256: str
    at: str


@dataclass(frozen=True)
class Scores:
    """How ready a release was: the total, and the score of each category that was measured, 0 to 100."""

    total: float
    categories: Mapping[str, float]


class Ledger:
    """Raises OperationFailed when the records cannot be read or written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def seal(self, deployment: int, sha256: str) -> None:
        """Remembers the manifest of a deployment's evidence; evidence that grew is sealed once more."""
        self._store.execute(sa.insert(_SEALS).values(deployment=deployment, sha256=sha256, at=self._store.now()))

    def seals(self, deployment: int) -> list[Seal]:
        """Every seal of a deployment, newest first; only the newest is of what lies in ``reports`` now."""
        query = sa.select(_SEALS).where(_SEALS.c.deployment == deployment).order_by(_SEALS.c.id.desc())
        return [Seal(row.sha256, row.at) for row in self._store.rows(query)]

    def gaps(self) -> list[Gap]:
        """Every gap there ever was, in the order they were found."""
        return [_gap(row) for row in self._store.rows(sa.select(_GAPS).order_by(_GAPS.c.id))]

    def track(self, deployment: int, found: Changes) -> None:
        """Remembers what a deployment changed of the gaps, all of it or nothing."""
        at = self._store.now()
        statements: list[Any] = [
            sa.insert(_GAPS).values(**_text(seen), opened_in=deployment, opened_at=at, seen_in=deployment)
            for seen in found.opened
        ]
        statements += [
            sa.update(_GAPS).where(_GAPS.c.id == gap.id).values(**_text(seen), seen_in=deployment)
            for gap, seen in found.still
        ]
        for gaps, how in ((found.resolved, RESOLVED), (found.gone, GONE)):
            statements += _closing(gaps, deployment, at, how)
        if statements:
            self._store.execute(*statements)

    def assess(self, deployment: int, scores: Scores) -> None:
        """Remembers how ready the release of a deployment was; of one that goes on, what it was in the end."""
        made = {"total": scores.total, "categories": dict(scores.categories)}
        self._store.execute(
            sa.delete(_READINESS).where(_READINESS.c.deployment == deployment),
            sa.insert(_READINESS).values(deployment=deployment, **made),
        )

    def scores(self) -> dict[int, Scores]:
        """How ready each deployment's release was, where it was measured."""
        return {row.deployment: Scores(row.total, row.categories) for row in self._store.rows(sa.select(_READINESS))}


def _closing(gaps: Iterable[Gap], deployment: int, at: str, how: str) -> list[Any]:
    closed = {"closed_in": deployment, "closed_at": at, "closed_as": how}
    return [sa.update(_GAPS).where(_GAPS.c.id == gap.id).values(**closed) for gap in gaps]


def _text(seen: Seen) -> dict[str, str]:
    """As any database can keep it: a message is whatever a case said, and PostgreSQL knows no NUL."""
    return {name: str(value).replace("\0", "") for name, value in vars(seen).items()}


def _gap(row: Any) -> Gap:
    fields = dict(row._mapping)
    seen = Seen(
        **{name: fields.pop(name) for name in ("case", "category", "title", "message")},
        severity=Severity(fields.pop("severity")),
    )
    return Gap(seen, **fields)
