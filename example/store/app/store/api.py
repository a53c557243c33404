"""The API and the page, put together. Needs no settings: building a release asks it for its OpenAPI document."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import redis.exceptions
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from . import admin, age, cache, carts, catalogue, checkout, database, health, inventory, payments, reports, sessions
from . import training as training_mode
from .envelope import Traffic
from .errors import RefusedError
from .release import IDENTITY
from .settings import Settings

logger = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    app.state.pool = database.make_pool(settings.database_url)
    app.state.cache = cache.make_cache(settings.cache_url)
    # Without waiting: a shop without its database is alive and says at /ready what is missing.
    await app.state.pool.open(wait=False)
    logger.info("started", extra={"version": IDENTITY.version, "digest": IDENTITY.digest})
    yield
    await app.state.pool.close()
    await app.state.cache.aclose()
    logger.info("stopped")


api = FastAPI(title="store", version=IDENTITY.version, docs_url=None, redoc_url=None, lifespan=_lifespan)
api.state.traffic = Traffic()
for part in (health, sessions, catalogue, inventory, carts, checkout, payments, age, reports, training_mode, admin):
    api.include_router(part.router)
api.mount("/assets", StaticFiles(directory=PAGE / "assets"))


@api.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})


def _answer(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status_code=status)


@api.exception_handler(RefusedError)
async def _refused(_: Request, refusal: RefusedError) -> JSONResponse:
    return _answer(refusal.status, refusal.code, refusal.message)


@api.exception_handler(RequestValidationError)
async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    # Where and what, never the value: it may be a PIN or a card number.
    faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return _answer(422, "invalid_request", "; ".join(faults))


@api.exception_handler(psycopg.OperationalError)
async def _database_away(_: Request, error: Exception) -> JSONResponse:
    logger.error("database unavailable", extra={"error": type(error).__name__})
    return _answer(503, "database_unavailable", "The database does not answer. Try again with the same order id.")


@api.exception_handler(redis.exceptions.ConnectionError)
@api.exception_handler(redis.exceptions.TimeoutError)
async def _cache_away(_: Request, error: Exception) -> JSONResponse:
    logger.error("cache unavailable", extra={"error": type(error).__name__})
    return _answer(503, "cache_unavailable", "The cache does not answer. Try again with the same order id.")


@api.exception_handler(Exception)
async def _failed(_: Request, __: Exception) -> JSONResponse:
    return _answer(500, "internal_error", "Something went wrong here; it is in the log under the request id.")
