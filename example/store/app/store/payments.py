"""Money: charged once per idempotency key, given back once per idempotency key."""

from __future__ import annotations

import logging
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from psycopg.errors import UniqueViolation
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, StringConstraints

from . import sandbox
from .database import Connection, Database
from .errors import RefusedError
from .sessions import SignedInSession

logger = logging.getLogger(__name__)
router = APIRouter(tags=["payments"])

IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{8,80}$")]


class Card(BaseModel):
    number: Annotated[SecretStr, Field(min_length=12, max_length=19)]


class Tender(BaseModel):
    """How the customer pays. `tendered_cents` is the cash put on the counter, by default the exact sum."""

    method: Literal["cash", "card"]
    idempotency_key: IdempotencyKey
    card: Card | None = None
    tendered_cents: int | None = Field(default=None, ge=0)


class Payment(BaseModel):
    id: UUID
    order_id: UUID
    method: Literal["cash", "card"]
    state: Literal["captured"]
    amount_cents: int
    refunded_cents: int
    card_last4: str | None
    change_cents: int
    created_at: AwareDatetime


class RefundRequest(BaseModel):
    """Without an amount, all that is left is given back."""

    idempotency_key: IdempotencyKey
    amount_cents: int | None = Field(default=None, gt=0)


class Refund(BaseModel):
    id: UUID
    order_id: UUID
    payment_id: UUID
    amount_cents: int
    created_at: AwareDatetime


async def charge(connection: Connection, order_id: UUID, total_cents: int, tender: Tender, training: bool) -> None:
    """Takes the money, unless this key has taken it already.

    Raises RefusedError when the processor declines, the cash does not suffice or the key belongs to another order.
    """
    captured, last4 = _capture(tender)
    tendered_cents = total_cents if tender.tendered_cents is None else tender.tendered_cents
    if tender.method == "cash" and tendered_cents < total_cents:
        raise RefusedError(402, "not_enough_cash", f"{total_cents - tendered_cents} cents are missing.")
    cursor = await connection.execute(
        """
        INSERT INTO payments
            (order_id, idempotency_key, method, amount_cents, change_cents, card_last4, captured, training)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (idempotency_key) DO NOTHING
        """,
        [
            order_id,
            tender.idempotency_key,
            tender.method,
            total_cents,
            tendered_cents - total_cents if tender.method == "cash" else 0,
            last4,
            captured,
            training,
        ],
    )
    if cursor.rowcount == 0:
        await _expect_own_payment(connection, order_id, tender.idempotency_key)


async def _expect_own_payment(connection: Connection, order_id: UUID, idempotency_key: str) -> None:
    cursor = await connection.execute("SELECT order_id FROM payments WHERE idempotency_key = %s", [idempotency_key])
    payment = await cursor.fetchone()
    if payment is None or payment["order_id"] != order_id:
        raise RefusedError(409, "payment_key_used", "This idempotency key paid for another order.")


def _capture(tender: Tender) -> tuple[str | None, str | None]:
    """The processor's reference and the card's last four digits: all of the card that is ever kept.

    The processor answers a repeated key with what it did the first time.
    """
    if tender.method == "cash":
        return None, None
    if tender.card is None:
        raise RefusedError(422, "card_missing", "Paying by card needs a card.")
    number = tender.card.number.get_secret_value()
    try:
        authorisation = sandbox.authorise(tender.idempotency_key, number)
    except sandbox.DeclinedError as declined:
        raise RefusedError(402, "payment_declined", f"The card was refused: {declined}.") from None
    return sandbox.capture(authorisation), number[-4:]


@router.get("/api/payments/{payment_id}")
async def show_payment(payment_id: UUID, session: SignedInSession, pool: Database) -> Payment:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            """
            SELECT id, order_id, method, state, amount_cents, card_last4, change_cents, created_at, (
                SELECT coalesce(sum(r.amount_cents), 0)::bigint FROM refunds r WHERE r.payment_id = p.id
            ) AS refunded_cents
            FROM payments p WHERE id = %s AND training = %s
            """,
            [payment_id, session.training],
        )
        payment = await cursor.fetchone()
    if payment is None:
        raise RefusedError(404, "no_such_payment", f"There is no payment {payment_id}.")
    return Payment.model_validate(payment)


@router.post("/api/sales/{order_id}/refund", status_code=201)
async def refund_sale(order_id: UUID, request: RefundRequest, session: SignedInSession, pool: Database) -> Refund:
    """Gives money back, once per key. Goods that come back are booked in as a delivery or an adjustment."""
    async with pool.connection() as connection, connection.transaction():
        # The lock on the payment makes refunds of one sale wait for each other.
        cursor = await connection.execute(
            "SELECT id, amount_cents, captured FROM payments WHERE order_id = %s AND training = %s FOR UPDATE",
            [order_id, session.training],
        )
        payment = await cursor.fetchone()
        if payment is None:
            raise RefusedError(404, "no_such_sale", f"There is no sale {order_id}.")
        refund = await _refunded(connection, order_id, request)
        if refund is None:
            refund = await _refund(connection, order_id, payment, request)
    logger.info("refunded", extra={"order_id": order_id, "amount_cents": refund.amount_cents})
    return refund


async def _refunded(connection: Connection, order_id: UUID, request: RefundRequest) -> Refund | None:
    """The refund this key has given already, if it has."""
    cursor = await connection.execute(
        """
        SELECT r.id, p.order_id, r.payment_id, r.amount_cents, r.created_at
        FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE r.idempotency_key = %s
        """,
        [request.idempotency_key],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    refund = Refund.model_validate(row)
    if refund.order_id != order_id or request.amount_cents not in (None, refund.amount_cents):
        raise RefusedError(409, "refund_key_used", "This idempotency key belongs to another refund.")
    return refund


async def _refund(connection: Connection, order_id: UUID, payment: dict[str, object], request: RefundRequest) -> Refund:
    cursor = await connection.execute(
        "SELECT coalesce(sum(amount_cents), 0)::bigint AS cents FROM refunds WHERE payment_id = %s", [payment["id"]]
    )
    row = await cursor.fetchone()
    left = int(str(payment["amount_cents"])) - (row["cents"] if row else 0)
    amount = left if request.amount_cents is None else request.amount_cents
    if not 0 < amount <= left:
        raise RefusedError(409, "refund_too_large", f"{left} cents are left to give back.")
    reference = sandbox.refund(request.idempotency_key, str(payment["captured"])) if payment["captured"] else None
    try:
        cursor = await connection.execute(
            """
            INSERT INTO refunds (payment_id, idempotency_key, amount_cents, processor_reference)
            VALUES (%s, %s, %s, %s) RETURNING id, payment_id, amount_cents, created_at
            """,
            [payment["id"], request.idempotency_key, amount, reference],
        )
    except UniqueViolation:  # another sale's refund took the key in the meantime
        raise RefusedError(409, "refund_key_used", "This idempotency key belongs to another refund.") from None
    return Refund.model_validate({"order_id": order_id, **(await cursor.fetchone() or {})})
