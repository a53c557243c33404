"""What was sold: the totals at the end of a day. Training sales are none of them."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from .database import Database
from .sessions import SignedInSession

router = APIRouter(tags=["reports"])


class Totals(BaseModel):
    sales: int
    sold_cents: int
    refunded_cents: int
    net_cents: int


@router.get("/api/reports/totals")
async def totals(_: SignedInSession, pool: Database) -> Totals:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            """
            SELECT sales, sold_cents, refunded_cents, sold_cents - refunded_cents AS net_cents
            FROM (
                SELECT count(*) AS sales, coalesce(sum(total_cents), 0)::bigint AS sold_cents
                FROM sales WHERE NOT training
            ) AS sold, (
                SELECT coalesce(sum(r.amount_cents), 0)::bigint AS refunded_cents
                FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE NOT p.training
            ) AS refunded
            """
        )
        return Totals.model_validate(await cursor.fetchone())
