"""Training mode: sales to practise with, and to test with, are marked, kept apart and cleaned up."""

from __future__ import annotations

import logging

from fastapi import APIRouter
from pydantic import BaseModel

from . import catalogue
from .cache import Cache
from .database import Database
from .sessions import TrustedSession

logger = logging.getLogger(__name__)
router = APIRouter(tags=["training"])


class CleanedUp(BaseModel):
    """How many training records of each kind were deleted."""

    sales: int
    payments: int
    refunds: int
    movements: int
    age_refusals: int


@router.delete("/api/training")
async def clean_up(session: TrustedSession, pool: Database, cache: Cache) -> CleanedUp:
    """Deletes everything marked as training and puts the training shelf back to what it opened with."""
    async with pool.connection() as connection, connection.transaction():
        # The same locks in the same order as a sale takes: one under way ends first.
        await connection.execute("SELECT 1 FROM stock WHERE training ORDER BY sku FOR UPDATE")
        refunds = await connection.execute(
            "DELETE FROM refunds r USING payments p WHERE p.id = r.payment_id AND p.training"
        )
        payments = await connection.execute("DELETE FROM payments WHERE training")
        movements = await connection.execute("DELETE FROM stock_movements WHERE training AND kind <> 'opening'")
        await connection.execute("DELETE FROM sale_lines l USING sales s WHERE s.order_id = l.order_id AND s.training")
        sales = await connection.execute("DELETE FROM sales WHERE training")
        age_refusals = await connection.execute("DELETE FROM age_refusals WHERE training")
        shelf = await connection.execute(
            """
            UPDATE stock s SET quantity = (
                SELECT coalesce(sum(m.change), 0) FROM stock_movements m WHERE m.sku = s.sku AND m.training
            ) WHERE training RETURNING sku
            """
        )
        skus = [row["sku"] for row in await shelf.fetchall()]
    await catalogue.forget(cache, True, skus)
    cleaned = CleanedUp(
        sales=sales.rowcount,
        payments=payments.rowcount,
        refunds=refunds.rowcount,
        movements=movements.rowcount,
        age_refusals=age_refusals.rowcount,
    )
    logger.info("training cleaned up", extra={"cashier": session.cashier, **cleaned.model_dump()})
    return cleaned
