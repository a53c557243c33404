"""What the shop says about itself: alive, ready, and which release."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

import psycopg
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from ._version import SCHEMA_HEAD
from .cache import Cache
from .database import Database
from .release import IDENTITY

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

CHECK_SECONDS = 2.0


class Health(BaseModel):
    """`in_flight` and `total` count requests, questions about health, readiness and version left out."""

    status: Literal["ok"]
    in_flight: int
    total: int


class SchemaCheck(BaseModel):
    ok: bool
    database_head: str | None
    code_head: str


class Ready(BaseModel):
    ready: bool
    database: bool
    cache: bool
    schema_: SchemaCheck = Field(alias="schema")


class Version(BaseModel):
    version: str
    digest: str | None
    commit: str | None


@router.get("/health")
async def health(request: Request) -> Health:
    """Alive. Asks neither database nor cache: restarting this process would not bring those back."""
    traffic = request.app.state.traffic
    return Health(status="ok", in_flight=traffic.in_flight, total=traffic.total)


@router.get("/ready", responses={503: {"model": Ready}})
async def ready(pool: Database, cache: Cache, response: Response) -> Ready:
    """Able to serve: 200 when database, cache and schema are fine, else 503."""
    (database_ok, schema), cache_ok = await asyncio.gather(_check_database(pool), _check_cache(cache))
    answer = Ready(ready=database_ok and cache_ok and schema.ok, database=database_ok, cache=cache_ok, schema=schema)
    if not answer.ready:
        response.status_code = 503
    return answer


@router.get("/version")
async def version() -> Version:
    return Version(version=IDENTITY.version, digest=IDENTITY.digest, commit=IDENTITY.commit)


async def _check_database(pool: Database) -> tuple[bool, SchemaCheck]:
    try:
        async with asyncio.timeout(CHECK_SECONDS), pool.connection(CHECK_SECONDS) as connection:
            # A fresh database has no such tables yet: that is an answer too, and not an error.
            cursor = await connection.execute("SELECT to_regclass('schema_history') IS NOT NULL AS migrated")
            row = await cursor.fetchone()
            if row is None or not row["migrated"]:
                return True, SchemaCheck(ok=False, database_head=None, code_head=SCHEMA_HEAD)
            # The code's own head among the applied ones is enough. The next release's migrations come before its
            # code and stay when the code is rolled back; they must only add, and this release then runs on them.
            cursor = await connection.execute(
                """
                SELECT (SELECT max(version_num) FROM alembic_version) AS head,
                    EXISTS (SELECT FROM schema_history WHERE revision = %s) AS known
                """,
                [SCHEMA_HEAD],
            )
            row = await cursor.fetchone() or {"known": False, "head": None}
            return True, SchemaCheck(ok=row["known"], database_head=row["head"], code_head=SCHEMA_HEAD)
    except (psycopg.Error, TimeoutError) as error:
        logger.warning("database check failed", extra={"error": repr(error)})
        return False, SchemaCheck(ok=False, database_head=None, code_head=SCHEMA_HEAD)


async def _check_cache(cache: Cache) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return bool(await cache.ping())
    except (RedisError, TimeoutError) as error:
        logger.warning("cache check failed", extra={"error": repr(error)})
        return False
