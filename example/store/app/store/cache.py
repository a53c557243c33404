"""The shop's cache, which speaks the Redis protocol: sessions, carts and the catalogue as last read."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis


def make_cache(url: str) -> Redis:
    """A client that connects when first used; a cache that does not answer is an error after two seconds."""
    return Redis.from_url(url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)


async def _cache(request: Request) -> Redis:
    cache: Redis = request.app.state.cache
    return cache


Cache = Annotated[Redis, Depends(_cache)]
