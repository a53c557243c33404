"""Stock: how many are on the shelf, and the ledger of movements that explains the number.

Every item has two shelves, one real and one for training. A training session sees and moves only its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query
from psycopg.errors import CheckViolation
from pydantic import AwareDatetime, BaseModel, Field

from . import catalogue
from .cache import Cache
from .database import Connection, Database
from .errors import RefusedError
from .sessions import Session, SignedInSession, TrustedSession

logger = logging.getLogger(__name__)
router = APIRouter(tags=["inventory"])

Kind = Literal["opening", "receive", "adjust", "sale"]


class Delivery(BaseModel):
    sku: str
    quantity: int = Field(gt=0, le=1_000_000)
    reference: str | None = Field(default=None, max_length=100)


class Adjustment(BaseModel):
    sku: str
    change: int = Field(ge=-1_000_000, le=1_000_000)
    reason: str = Field(min_length=1, max_length=100)


class Stock(BaseModel):
    sku: str
    stock: int


class Movement(BaseModel):
    id: int
    kind: Kind
    change: int
    order_id: UUID | None
    reference: str | None
    created_at: AwareDatetime


class Ledger(Stock):
    """`ledger` is the sum of all movements and equals `stock`; `movements` are the latest ones, newest first."""

    ledger: int
    movements: list[Movement]


class _Change(NamedTuple):
    sku: str
    amount: int
    kind: Kind
    reference: str | None


@router.post("/api/inventory/receive", status_code=201)
async def receive(delivery: Delivery, session: SignedInSession, pool: Database, cache: Cache) -> Stock:
    """Books goods in."""
    change = _Change(delivery.sku, delivery.quantity, "receive", delivery.reference)
    return await _carry_out(change, session, pool, cache)


@router.post("/api/inventory/adjust", status_code=201)
async def adjust(adjustment: Adjustment, session: TrustedSession, pool: Database, cache: Cache) -> Stock:
    """Corrects a count, up or down, with a reason. For managers."""
    if adjustment.change == 0:
        raise RefusedError(422, "nothing_to_adjust", "A change of 0 changes nothing.")
    change = _Change(adjustment.sku, adjustment.change, "adjust", adjustment.reason)
    return await _carry_out(change, session, pool, cache)


@router.get("/api/inventory/{sku}")
async def show_ledger(
    sku: str, session: SignedInSession, pool: Database, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Ledger:
    async with pool.connection() as connection, connection.transaction():
        # One snapshot, or a sale between the two questions would look like a hole in the ledger.
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor = await connection.execute(
            """
            SELECT quantity AS stock, (
                SELECT coalesce(sum(change), 0)::bigint FROM stock_movements m
                WHERE m.sku = s.sku AND m.training = s.training
            ) AS ledger
            FROM stock s WHERE sku = %s AND training = %s
            """,
            [sku, session.training],
        )
        totals = await cursor.fetchone()
        if totals is None:
            raise RefusedError(404, "no_such_item", f"There is no item {sku}.")
        cursor = await connection.execute(
            """
            SELECT id, kind, change, order_id, reference, created_at FROM stock_movements
            WHERE sku = %s AND training = %s ORDER BY id DESC LIMIT %s
            """,
            [sku, session.training, limit],
        )
        return Ledger.model_validate({"sku": sku, **totals, "movements": await cursor.fetchall()})


async def book(
    connection: Connection,
    training: bool,
    changes: Mapping[str, int],
    kind: Kind,
    *,
    order_id: UUID | None = None,
    reference: str | None = None,
) -> dict[str, int]:
    """Moves stock and writes the ledger, both or neither; returns the new stock of each item that exists.

    Raises RefusedError when any of it would go below zero: the database refuses that, so no race gets past it.
    """
    try:
        # Rows are locked in the order of their item numbers: bookings wait for each other and never deadlock.
        cursor = await connection.execute(
            """
            WITH wanted AS (
                SELECT * FROM unnest(%(skus)s::text[], %(changes)s::bigint[]) AS w (sku, change)
            ), locked AS (
                SELECT s.sku, w.change FROM stock s JOIN wanted w USING (sku)
                WHERE s.training = %(training)s ORDER BY s.sku FOR UPDATE OF s
            ), moved AS (
                UPDATE stock s SET quantity = s.quantity + l.change
                FROM locked l WHERE s.sku = l.sku AND s.training = %(training)s
                RETURNING s.sku, l.change, s.quantity
            ), ledger AS (
                INSERT INTO stock_movements (sku, change, kind, training, order_id, reference)
                SELECT sku, change, %(kind)s, %(training)s, %(order_id)s, %(reference)s FROM moved
            )
            SELECT sku, quantity FROM moved
            """,
            {
                "skus": list(changes),
                "changes": list(changes.values()),
                "training": training,
                "kind": kind,
                "order_id": order_id,
                "reference": reference,
            },
        )
    except CheckViolation:
        raise RefusedError(409, "out_of_stock", "There is not enough of this on the shelf.") from None
    return {row["sku"]: row["quantity"] for row in await cursor.fetchall()}


async def _carry_out(change: _Change, session: Session, pool: Database, cache: Cache) -> Stock:
    async with pool.connection() as connection, connection.transaction():
        booked = {change.sku: change.amount}
        stock = await book(connection, session.training, booked, change.kind, reference=change.reference)
    if change.sku not in stock:
        raise RefusedError(404, "no_such_item", f"There is no item {change.sku}.")
    await catalogue.forget(cache, session.training, [change.sku])
    logger.info("stock moved", extra={**change._asdict(), "cashier": session.cashier})
    return Stock(sku=change.sku, stock=stock[change.sku])
