"""Checkout: an order becomes a sale, once, with its stock moved and its money taken, or nothing happens at all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from . import age, carts, catalogue, inventory, payments
from .cache import Cache
from .carts import Line, PricedLine
from .database import Connection, Database
from .errors import RefusedError
from .payments import Payment, Tender
from .sessions import Session, SignedInSession

logger = logging.getLogger(__name__)
router = APIRouter(tags=["checkout"])


class Order(BaseModel):
    """What is bought: the lines themselves, or the cart that holds them. The client makes up `order_id`."""

    order_id: UUID
    cart_id: str | None = Field(default=None, max_length=64)
    lines: list[Line] | None = Field(default=None, min_length=1, max_length=100)
    payment: Tender
    age_proof: age.AgeProof | None = None

    @model_validator(mode="after")
    def _lines_or_cart(self) -> Order:
        if (self.cart_id is None) == (self.lines is None):
            raise ValueError("give either lines or cart_id")
        return self

    def fingerprint(self) -> str:
        """Tells a repeated order from another one under the same id. The card and the birth date stay out of it.

        So do fields left empty: the next release has more of them, and has to know this one's orders again.
        """
        content = self.model_dump_json(exclude={"age_proof": True, "payment": {"card"}}, exclude_none=True)
        return hashlib.sha256(content.encode()).hexdigest()


class Sale(BaseModel):
    order_id: UUID
    status: Literal["completed"]
    terminal: str
    cashier: str
    training: bool
    total_cents: int
    lines: list[PricedLine]
    payments: list[Payment]
    created_at: AwareDatetime


class Receipt(BaseModel):
    """What the customer takes home."""

    order_id: UUID
    sold_at: AwareDatetime
    terminal: str
    cashier: str
    training: bool
    lines: list[PricedLine]
    total_cents: int
    method: Literal["cash", "card"]
    card_last4: str | None
    change_cents: int


class Sold(BaseModel):
    sale: Sale
    receipt: Receipt


@router.post("/api/sales", status_code=201)
async def sell(order: Order, session: SignedInSession, pool: Database, cache: Cache, response: Response) -> Sold:
    """Sells an order. The same order again gets the same answer and is not sold again.

    A different order under a known id is refused with 409.
    """
    try:
        async with pool.connection() as connection, connection.transaction():
            total_cents = await _sold_before(connection, order, session)
            repeated = total_cents is not None
            if total_cents is None:
                total_cents = await _sell(connection, cache, order, session)
            # Asked of a repeated order as well: one key takes the money once, however often it is shown.
            await payments.charge(connection, order.order_id, total_cents, order.payment, session.training)
        sale = await _read(pool, order.order_id, session)
    except age.AgeRefusedError as refusal:
        await age.record(pool, session, order.order_id, refusal)
        raise
    if repeated:
        response.headers["Idempotent-Replay"] = "true"
    else:
        await catalogue.forget(cache, session.training, [line.sku for line in sale.lines])
        if order.cart_id is not None:
            await carts.close(cache, order.cart_id)
        logger.info("sold", extra={"order_id": sale.order_id, "total_cents": sale.total_cents})
    return Sold(sale=sale, receipt=_receipt(sale))


@router.get("/api/sales/{order_id}")
async def show_sale(order_id: UUID, session: SignedInSession, pool: Database) -> Sale:
    return await _read(pool, order_id, session)


@router.get("/api/sales/{order_id}/receipt")
async def show_receipt(order_id: UUID, session: SignedInSession, pool: Database) -> Receipt:
    return _receipt(await _read(pool, order_id, session))


async def _sold_before(connection: Connection, order: Order, session: Session) -> int | None:
    """The total of this order's sale when there is one. Raises RefusedError when the id belongs to another order."""
    # Copies of one order wait here for each other; the lock ends with the transaction.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [str(order.order_id)])
    cursor = await connection.execute(
        "SELECT total_cents, fingerprint, training FROM sales WHERE order_id = %s", [order.order_id]
    )
    sale = await cursor.fetchone()
    if sale is None:
        return None
    if (sale["fingerprint"], sale["training"]) != (order.fingerprint(), session.training):
        raise RefusedError(409, "order_conflict", f"Another order was sold as {order.order_id}.")
    total_cents: int = sale["total_cents"]
    return total_cents


async def _sell(connection: Connection, cache: Cache, order: Order, session: Session) -> int:
    """Writes the sale and moves its stock; returns the total in cents."""
    lines = order.lines if order.cart_id is None else await carts.read(cache, order.cart_id)
    quantities = carts.together(lines or [])
    if not quantities:
        raise RefusedError(422, "empty_cart", "There is nothing in the cart.")
    items = await _items(connection, list(quantities))
    if missing := quantities.keys() - items.keys():
        raise RefusedError(404, "no_such_item", f"There is no item {', '.join(sorted(missing))}.")
    age.verify(order.age_proof, [sku for sku, item in items.items() if item["restricted"]], date.today())
    total_cents: int = sum(item["price_cents"] * quantities[sku] for sku, item in items.items())
    await connection.execute(
        """
        INSERT INTO sales (order_id, fingerprint, terminal, cashier, total_cents, age_proof, training)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        [
            order.order_id,
            order.fingerprint(),
            session.terminal,
            session.cashier,
            total_cents,
            order.age_proof.kind if order.age_proof else None,
            session.training,
        ],
    )
    await connection.execute(
        """
        INSERT INTO sale_lines (order_id, sku, name, quantity, price_cents)
        SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[])
        """,
        [
            order.order_id,
            list(items),
            [item["name"] for item in items.values()],
            [quantities[sku] for sku in items],
            [item["price_cents"] for item in items.values()],
        ],
    )
    # Stock comes last here and money after it: what sales wait for is held for three statements only.
    sold = {sku: -quantity for sku, quantity in quantities.items()}
    await inventory.book(connection, session.training, sold, "sale", order_id=order.order_id)
    return total_cents


async def _items(connection: Connection, skus: list[str]) -> Mapping[str, dict[str, Any]]:
    cursor = await connection.execute(
        "SELECT sku, name, price_cents, restricted FROM items WHERE sku = ANY (%s) ORDER BY sku", [skus]
    )
    return {row["sku"]: row for row in await cursor.fetchall()}


async def _read(pool: Database, order_id: UUID, session: Session) -> Sale:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            """
            SELECT order_id, 'completed' AS status, terminal, cashier, training, total_cents, created_at, (
                SELECT json_agg(json_build_object(
                    'sku', l.sku, 'name', l.name, 'quantity', l.quantity, 'price_cents', l.price_cents,
                    'amount_cents', l.quantity * l.price_cents
                ) ORDER BY l.sku) FROM sale_lines l WHERE l.order_id = s.order_id
            ) AS lines, (
                SELECT json_agg(json_build_object(
                    'id', p.id, 'order_id', p.order_id, 'method', p.method, 'state', p.state,
                    'amount_cents', p.amount_cents, 'card_last4', p.card_last4, 'change_cents', p.change_cents,
                    'created_at', p.created_at, 'refunded_cents', (
                        SELECT coalesce(sum(r.amount_cents), 0) FROM refunds r WHERE r.payment_id = p.id
                    )
                ) ORDER BY p.created_at, p.id) FROM payments p WHERE p.order_id = s.order_id
            ) AS payments
            FROM sales s WHERE order_id = %s AND training = %s
            """,
            [order_id, session.training],
        )
        sale = await cursor.fetchone()
    if sale is None:
        raise RefusedError(404, "no_such_sale", f"There is no sale {order_id}.")
    return Sale.model_validate(sale)


def _receipt(sale: Sale) -> Receipt:
    payment = sale.payments[0]
    return Receipt(
        order_id=sale.order_id,
        sold_at=sale.created_at,
        terminal=sale.terminal,
        cashier=sale.cashier,
        training=sale.training,
        lines=sale.lines,
        total_cents=sale.total_cents,
        method=payment.method,
        card_last4=payment.card_last4,
        change_cents=payment.change_cents,
    )
