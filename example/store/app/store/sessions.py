"""Sign-in: a cashier at a terminal, known by a PIN; the session is kept in the cache."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, SecretStr

from .cache import Cache
from .database import Database
from .errors import RefusedError
from .settings import Settings

logger = logging.getLogger(__name__)
router = APIRouter(tags=["session"])

SESSION_SECONDS = 8 * 3600
# Four digits are soon guessed: after this many wrong ones in a minute, the minute has to pass.
WRONG_PINS_A_MINUTE = 10


class SignIn(BaseModel):
    """The `pin` of the training cashier is the training code."""

    terminal: str = Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")
    cashier: str = Field(pattern=r"^[a-z0-9._-]{1,40}$")
    pin: SecretStr = Field(max_length=128)


class Session(BaseModel):
    terminal: str
    cashier: str
    role: Literal["cashier", "manager", "training"]
    training: bool


class SignedIn(Session):
    token: str


class NewPin(BaseModel):
    pin: SecretStr = Field(min_length=4, max_length=128)


@router.post("/api/session", status_code=201)
async def sign_in(who: SignIn, request: Request, pool: Database, cache: Cache) -> SignedIn:
    """Opens a session; `token` goes into the Authorization header of every other call, as a bearer token."""
    wrong_pins = f"wrong-pins:{who.terminal}:{who.cashier}"
    if int(await cache.get(wrong_pins) or 0) >= WRONG_PINS_A_MINUTE:
        raise RefusedError(429, "too_many_wrong_pins", "Too many wrong PINs at this terminal: wait a minute.")
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT role, pin_hash FROM cashiers WHERE name = %s", [who.cashier])
        account = await cursor.fetchone()
    settings: Settings = request.app.state.settings
    if account is None or not await _proves(who.pin.get_secret_value(), account["pin_hash"], settings):
        await cache.incr(wrong_pins)
        await cache.expire(wrong_pins, 60)
        raise RefusedError(401, "sign_in_refused", "This cashier and PIN do not belong together.")
    await cache.delete(wrong_pins)
    session = Session(
        terminal=who.terminal, cashier=who.cashier, role=account["role"], training=account["role"] == "training"
    )
    session_id = secrets.token_urlsafe(24)
    await cache.set(_key(session_id), session.model_dump_json(), ex=SESSION_SECONDS)
    logger.info("signed in", extra={"terminal": who.terminal, "cashier": who.cashier})
    return SignedIn(token=f"{session_id}.{_signature(session_id, settings)}", **session.model_dump())


async def _proves(pin: str, pin_hash: str | None, settings: Settings) -> bool:
    if pin_hash is None:  # the training cashier has no PIN of its own
        return bool(settings.training_code) and hmac.compare_digest(pin.encode(), settings.training_code.encode())
    salt, expected = pin_hash.split("$")
    return hmac.compare_digest(await _scrypt(pin, salt), expected)


async def _scrypt(pin: str, salt: str) -> str:
    # In a thread: it takes tens of milliseconds by intent, and other tills go on selling.
    digest = await asyncio.to_thread(hashlib.scrypt, pin.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=16)
    return digest.hex()


def _key(session_id: str) -> str:
    return f"session:{session_id}"


def _signature(session_id: str, settings: Settings) -> str:
    return hmac.new(settings.secret, session_id.encode(), hashlib.sha256).hexdigest()[:32]


_bearer = HTTPBearer(auto_error=False)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def _session_id(request: Request, bearer: Bearer) -> str:
    """The session the token names. An unsigned token never reaches the cache."""
    session_id, _, signature = (bearer.credentials if bearer else "").partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(session_id, request.app.state.settings).encode()):
        raise RefusedError(401, "not_signed_in", "Sign in first.")
    return session_id


async def _session(session_id: Annotated[str, Depends(_session_id)], cache: Cache) -> Session:
    stored = await cache.get(_key(session_id))
    if stored is None:
        raise RefusedError(401, "not_signed_in", "The session has ended: sign in again.")
    return Session.model_validate_json(stored)


SignedInSession = Annotated[Session, Depends(_session)]


async def _trusted(session: SignedInSession) -> Session:
    if session.role == "cashier":
        raise RefusedError(403, "manager_only", "Only a manager may do this.")
    return session


# A manager, or the training terminal, whose every act stays among the training records.
TrustedSession = Annotated[Session, Depends(_trusted)]


@router.get("/api/session")
async def show_session(session: SignedInSession) -> Session:
    return session


@router.delete("/api/session", status_code=204)
async def sign_out(session_id: Annotated[str, Depends(_session_id)], cache: Cache) -> None:
    await cache.delete(_key(session_id))


@router.put("/api/cashiers/{name}/pin", status_code=204)
async def set_pin(name: str, new: NewPin, session: SignedInSession, pool: Database) -> None:
    """Gives a cashier a new PIN. For managers only."""
    if session.role != "manager":
        raise RefusedError(403, "manager_only", "Only a manager may do this.")
    salt = secrets.token_hex(16)
    pin_hash = f"{salt}${await _scrypt(new.pin.get_secret_value(), salt)}"
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "UPDATE cashiers SET pin_hash = %s WHERE name = %s AND role <> 'training'", [pin_hash, name]
        )
    if cursor.rowcount == 0:
        raise RefusedError(404, "no_such_cashier", f"There is no cashier {name} with a PIN.")
