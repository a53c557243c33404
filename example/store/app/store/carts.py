"""Carts: what is on the counter and not yet sold, kept in the cache."""

from __future__ import annotations

import uuid

from fastapi import APIRouter
from pydantic import BaseModel, Field

from .cache import Cache
from .database import Database
from .errors import RefusedError
from .sessions import SignedInSession

router = APIRouter(tags=["checkout"])

CART_SECONDS = 2 * 3600


class Line(BaseModel):
    sku: str = Field(min_length=1, max_length=40)
    quantity: int = Field(gt=0, le=999)


class Lines(BaseModel):
    lines: list[Line] = Field(max_length=100)


class PricedLine(BaseModel):
    sku: str
    name: str
    quantity: int
    price_cents: int
    amount_cents: int


class Cart(BaseModel):
    id: str
    lines: list[PricedLine]
    total_cents: int
    needs_age_proof: bool


@router.post("/api/carts", status_code=201)
async def open_cart(_: SignedInSession, cache: Cache) -> Cart:
    cart_id = uuid.uuid4().hex
    await cache.set(_key(cart_id), Lines(lines=[]).model_dump_json(), ex=CART_SECONDS)
    return Cart(id=cart_id, lines=[], total_cents=0, needs_age_proof=False)


@router.put("/api/carts/{cart_id}/lines")
async def fill_cart(cart_id: str, lines: Lines, _: SignedInSession, pool: Database, cache: Cache) -> Cart:
    """Replaces the lines of a cart and prices them."""
    await read(cache, cart_id)
    cart = await _price(pool, cart_id, lines.lines)
    await cache.set(_key(cart_id), lines.model_dump_json(), ex=CART_SECONDS)
    return cart


@router.get("/api/carts/{cart_id}")
async def show_cart(cart_id: str, _: SignedInSession, pool: Database, cache: Cache) -> Cart:
    return await _price(pool, cart_id, await read(cache, cart_id))


async def read(cache: Cache, cart_id: str) -> list[Line]:
    """The lines of a cart. Raises RefusedError when there is none, or no longer."""
    stored = await cache.get(_key(cart_id))
    if stored is None:
        raise RefusedError(404, "no_such_cart", f"There is no cart {cart_id}.")
    return Lines.model_validate_json(stored).lines


async def close(cache: Cache, cart_id: str) -> None:
    """A sold cart is gone: under another order id it cannot be sold again."""
    await cache.delete(_key(cart_id))


def together(lines: list[Line]) -> dict[str, int]:
    """How many of each item, however often it was scanned; in the order of the item numbers."""
    quantities: dict[str, int] = {}
    for line in sorted(lines, key=lambda line: line.sku):
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return quantities


async def _price(pool: Database, cart_id: str, lines: list[Line]) -> Cart:
    quantities = together(lines)
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT sku, name, price_cents, restricted FROM items WHERE sku = ANY (%s) ORDER BY sku", [list(quantities)]
        )
        items = await cursor.fetchall()
    if missing := quantities.keys() - {item["sku"] for item in items}:
        raise RefusedError(404, "no_such_item", f"There is no item {', '.join(sorted(missing))}.")
    priced = [
        PricedLine(
            sku=item["sku"],
            name=item["name"],
            quantity=quantities[item["sku"]],
            price_cents=item["price_cents"],
            amount_cents=item["price_cents"] * quantities[item["sku"]],
        )
        for item in items
    ]
    return Cart(
        id=cart_id,
        lines=priced,
        total_cents=sum(line.amount_cents for line in priced),
        needs_age_proof=any(item["restricted"] for item in items),
    )


def _key(cart_id: str) -> str:
    return f"cart:{cart_id}"
