"""What the shop needs to be told, all of it from environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SHORTEST_SECRET = 16


class SettingsError(Exception):
    """A setting is missing or unusable; the message names the variable and what it should hold."""


@dataclass(frozen=True)
class Settings:
    """Secrets stay out of `repr`, so that a logged object shows none."""

    database_url: str = field(repr=False)
    cache_url: str = field(repr=False)
    secret: bytes = field(repr=False)
    training_code: str = field(repr=False)
    backup_status: Path | None


def read(environment: Mapping[str, str]) -> Settings:
    """Reads the settings. Raises SettingsError for the first one that is missing or too weak."""
    secret = _required(environment, "STORE_SECRET", f"at least {SHORTEST_SECRET} random characters; it signs sessions")
    if len(secret) < SHORTEST_SECRET:
        raise SettingsError(f"STORE_SECRET has {len(secret)} characters: {SHORTEST_SECRET} is the least")
    backup_status = environment.get("STORE_BACKUP_STATUS")
    return Settings(
        database_url=_url(environment, "DATABASE_URL", "postgresql://… with user, password, host and name"),
        cache_url=_url(environment, "REDIS_URL", "redis://HOST:PORT/0"),
        secret=secret.encode(),
        # Without a code nobody can sign in to the training terminal.
        training_code=environment.get("STORE_TRAINING_CODE", ""),
        backup_status=Path(backup_status) if backup_status else None,
    )


def _required(environment: Mapping[str, str], name: str, expected: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: expected {expected}")
    return value


def _url(environment: Mapping[str, str], name: str, expected: str) -> str:
    value = _required(environment, name, expected)
    scheme = expected.partition("//")[0] + "//"
    if not value.startswith(scheme):
        raise SettingsError(f"{name} does not start with {scheme}: expected {expected}")
    return value
