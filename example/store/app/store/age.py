"""Age verification: who may buy restricted goods, and the record of everyone who was refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel

from .database import Database
from .errors import RefusedError
from .sessions import Session, SignedInSession

logger = logging.getLogger(__name__)
router = APIRouter(tags=["age verification"])

MINIMUM_AGE = 21


class AgeProof(BaseModel):
    """What the cashier read on the document. Only its kind is kept, never the date."""

    kind: Literal["id_card", "passport", "driving_licence"]
    birth_date: date


class AgeRefusal(BaseModel):
    id: int
    order_id: UUID
    skus: list[str]
    reason: Literal["age_proof_required", "under_age"]
    terminal: str
    cashier: str
    created_at: AwareDatetime


class AgeRefusals(BaseModel):
    refusals: list[AgeRefusal]


class AgeRefusedError(RefusedError):
    """Restricted goods without proof of age, or for someone too young."""

    def __init__(self, code: str, message: str, skus: Sequence[str]) -> None:
        super().__init__(403, code, message)
        self.skus = list(skus)


def verify(proof: AgeProof | None, restricted: Sequence[str], today: date) -> None:
    """Raises AgeRefusedError unless these restricted items may be sold to whoever shows this proof."""
    if not restricted:
        return
    if proof is None:
        raise AgeRefusedError("age_proof_required", "Ask for proof of age.", restricted)
    if age_on(today, proof.birth_date) < MINIMUM_AGE:
        raise AgeRefusedError("under_age", f"The customer is under {MINIMUM_AGE}.", restricted)


def age_on(day: date, birth_date: date) -> int:
    """Whole years lived on a day; someone born on 29 February turns older on 1 March in other years."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


async def record(pool: Database, session: Session, order_id: UUID, refusal: AgeRefusedError) -> None:
    """Writes a refusal down, apart from the sale it stopped."""
    async with pool.connection() as connection:
        await connection.execute(
            """
            INSERT INTO age_refusals (order_id, skus, reason, terminal, cashier, training)
            VALUES (%s, %s, %s, %s, %s, %s)
            """,
            [order_id, refusal.skus, refusal.code, session.terminal, session.cashier, session.training],
        )
    logger.info("age refused", extra={"order_id": order_id, "reason": refusal.code})


@router.get("/api/age-refusals")
async def list_refusals(session: SignedInSession, pool: Database) -> AgeRefusals:
    """The latest hundred refusals, newest first; a training session sees its own kind."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            """
            SELECT id, order_id, skus, reason, terminal, cashier, created_at
            FROM age_refusals WHERE training = %s ORDER BY id DESC LIMIT 100
            """,
            [session.training],
        )
        return AgeRefusals.model_validate({"refusals": await cursor.fetchall()})
