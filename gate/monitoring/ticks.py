"""Where the looks at the release that serves are kept: beside the deployments, in the same records."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import sqlalchemy as sa

from gate.monitoring.phases import Tick
from gate.records.store import Store
from gate.results import Decision

_TICKS = sa.Table(
    "monitor_ticks",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("deployment", sa.Integer),
    sa.Column("slot", sa.Integer),
    sa.Column("at", sa.String),
    sa.Column("seconds", sa.Float),
    sa.Column("decision", sa.String),
    sa.Column("reasons", sa.JSON),
    sa.Column("notes", sa.JSON),
    sa.Column("acted", sa.String),
)


def of(store: Store, deployment: int) -> list[Tick]:
    """The looks at what a deployment made serve, in their order. Raises OperationFailed."""
    query = sa.select(_TICKS).where(_TICKS.c.deployment == deployment).order_by(_TICKS.c.id)
    return [
        Tick(
            **{
                **row._mapping,
                "at": datetime.fromisoformat(row.at),
                "decision": Decision(row.decision),
                "reasons": tuple(row.reasons),
                "notes": tuple(row.notes),
            }
        )
        for row in store.rows(query)
    ]


def add(store: Store, tick: Tick) -> Tick:
    """Remembers a look; returns it with its number. Raises OperationFailed."""
    facts = {item.name: getattr(tick, item.name) for item in fields(tick) if item.name != "id"}
    facts |= {"at": tick.at.astimezone(UTC).isoformat(timespec="milliseconds"), "decision": str(tick.decision)}
    facts |= {"reasons": list(tick.reasons), "notes": list(tick.notes)}
    return replace(tick, id=int(store.execute(sa.insert(_TICKS).values(**facts)).inserted_primary_key[0]))


def acted(store: Store, tick: Tick, what: str) -> Tick:
    """Remembers what was done about a look; returns it so. Raises OperationFailed."""
    store.execute(sa.update(_TICKS).where(_TICKS.c.id == tick.id).values(acted=what))
    return replace(tick, acted=what)
