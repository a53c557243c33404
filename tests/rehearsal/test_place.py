"""The environment of a rehearsal: every way to the live servers leads elsewhere, or nothing is started."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from gate.config import Environment
from gate.rehearsal.place import CannotRehearse, Place
from tests.engine.site import read, table, web

LIVE = "postgresql://app:s3cret-live@db.acme.io:5432/shop"
CACHE = "redis://:s3cret-cache@cache.acme.io:6379/0"
PLACE = Place(
    "/srv/r", 18999, "postgresql://app:s3cret-live@/shop?host=/srv/r&port=5432", "redis://:p@127.0.0.1:7007/0", 7007
)


def live(tmp_path: Path, **env: str) -> Environment:
    content: dict[str, Any] = table(
        services={"web": web(env=env)}, database={"url": LIVE}, cache={"url": CACHE}, traffic={"listen": "0.0.0.0:80"}
    )
    content["app"]["url"] = "https://shop.acme.io"
    return read(content, tmp_path)


def test_everything_is_moved(tmp_path: Path) -> None:
    here = PLACE.of(
        live(
            tmp_path,
            DATABASE_URL=LIVE,
            ASYNC_URL=LIVE.replace("postgresql:", "postgresql+asyncpg:"),
            REDIS_URL=CACHE,
            CALLBACK="https://shop.acme.io/paid",
            LEVEL="INFO",
        )
    )
    env = {name: value.reveal() for name, value in here.services["web"].env.items()}
    assert env["DATABASE_URL"] == PLACE.database
    assert env["ASYNC_URL"] == PLACE.database.replace("postgresql:", "postgresql+asyncpg:")
    assert env["REDIS_URL"] == PLACE.cache
    assert env["CALLBACK"] == "http://127.0.0.1:18999/paid"
    assert env["LEVEL"] == "INFO"
    assert here.database is not None
    assert here.database.url.reveal() == PLACE.database
    assert here.app.url == "http://127.0.0.1:18999"
    assert here.traffic.listen == "127.0.0.1:18999"
    assert here.state_folder == Path("/srv/r/test")
    assert here.redactor(f"at {PLACE.cache}") != f"at {PLACE.cache}"
    assert here.redactor("s3cret-live s3cret-cache") == "[redacted] [redacted]"


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"DATABASE_URL": "postgresql://app:other@elsewhere:5432/shop"},
        {"DATABASE_URL": LIVE, "PGPASSWORD": "s3cret-live"},
        {"DATABASE_URL": LIVE, "PGHOST": "db.acme.io:5432"},
        {"DATABASE_URL": f"{LIVE}?sslmode=require"},
        {"DATABASE_URL": LIVE, "CACHE": "cache.acme.io:6379"},
    ],
    ids=["nothing", "another", "password", "host", "more", "cache"],
)
def test_what_might_reach_a_live_server_is_not_started(tmp_path: Path, env: dict[str, str]) -> None:
    with pytest.raises(CannotRehearse) as fault:
        PLACE.of(live(tmp_path, **env))
    assert "s3cret" not in str(fault.value)


def test_its_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "place.json"
    PLACE.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Place.read(file) == PLACE
