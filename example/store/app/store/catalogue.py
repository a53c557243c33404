"""What the shop sells: read through the cache, forgotten there whenever stock moves."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Response
from pydantic import BaseModel

from .cache import Cache
from .database import Database
from .errors import RefusedError
from .sessions import SignedInSession

router = APIRouter(tags=["catalogue"])

# How long a count on a screen may lag when a reader races a sale; the database decides the sale itself.
CACHE_SECONDS = 30


class Item(BaseModel):
    sku: str
    name: str
    price_cents: int
    restricted: bool
    stock: int


class Items(BaseModel):
    items: list[Item]


@router.get("/api/items")
async def list_items(session: SignedInSession, pool: Database, cache: Cache, response: Response) -> Items:
    """Everything on sale. `X-Cache` tells whether the cache answered: `hit` or `miss`."""
    key = _list_key(session.training)
    if (cached := await _cached(cache, key)) is not None:
        response.headers["X-Cache"] = "hit"
        return Items.model_validate_json(cached)
    async with pool.connection() as connection:
        cursor = await connection.execute(
            """
            SELECT sku, name, price_cents, restricted, quantity AS stock
            FROM items JOIN stock USING (sku) WHERE training = %s ORDER BY sku
            """,
            [session.training],
        )
        items = Items.model_validate({"items": await cursor.fetchall()})
    await _keep(cache, key, items)
    response.headers["X-Cache"] = "miss"
    return items


@router.get("/api/items/{sku}")
async def show_item(sku: str, session: SignedInSession, pool: Database, cache: Cache, response: Response) -> Item:
    key = _item_key(session.training, sku)
    if (cached := await _cached(cache, key)) is not None:
        response.headers["X-Cache"] = "hit"
        return Item.model_validate_json(cached)
    async with pool.connection() as connection:
        cursor = await connection.execute(
            """
            SELECT sku, name, price_cents, restricted, quantity AS stock
            FROM items JOIN stock USING (sku) WHERE training = %s AND sku = %s
            """,
            [session.training, sku],
        )
        row = await cursor.fetchone()
    if row is None:
        raise RefusedError(404, "no_such_item", f"There is no item {sku}.")
    item = Item.model_validate(row)
    await _keep(cache, key, item)
    response.headers["X-Cache"] = "miss"
    return item


async def forget(cache: Cache, training: bool, skus: Iterable[str]) -> None:
    """Drops what the cache says about these items. Call it after the transaction that moved their stock."""
    await cache.delete(_list_key(training), *(_item_key(training, sku) for sku in skus))


async def _cached(cache: Cache, key: str) -> str | bytes | None:
    return await cache.get(key)


async def _keep(cache: Cache, key: str, value: BaseModel) -> None:
    await cache.set(key, value.model_dump_json(), ex=CACHE_SECONDS)


def _shelf(training: bool) -> str:
    return "training" if training else "real"


def _list_key(training: bool) -> str:
    return f"items:{_shelf(training)}"


def _item_key(training: bool, sku: str) -> str:
    return f"item:{_shelf(training)}:{sku}"
