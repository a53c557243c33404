"""The environment of a rehearsal: the live one, with a database, a cache, a proxy and a folder of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gate.config import Environment, Port, Service, Stack
from gate.errors import OperationFailed
from gate.redact import Secret


class CannotRehearse(OperationFailed):
    """The application cannot be kept away from the live servers, so it is not started."""


@dataclass(frozen=True)
class Place:
    """Where a rehearsal lives. Travels to the child process as a file that only its owner can read: it has secrets.

    ``folder`` takes the place of the state folder; ``front`` is the proxy's port, ``cache_port`` the cache's.
    """

    folder: str
    front: int
    database: str
    cache: str | None = None
    cache_port: int | None = None

    def write(self, file: Path) -> None:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(asdict(self), stream)

    @staticmethod
    def read(file: Path) -> Place:
        """Raises OSError, ValueError, TypeError."""
        return Place(**json.loads(file.read_text(encoding="utf-8")))

    def of(self, live: Environment) -> Environment:
        """The live environment moved here. Raises CannotRehearse where a service might reach the live servers."""
        assert live.database is not None  # noqa: S101 - a rehearsal begins with a copy of it
        moves = {live.database.url.reveal(): self.database}
        if live.cache is not None and self.cache is not None:
            moves[live.cache.url.reveal()] = self.cache
        url = f"http://127.0.0.1:{self.front}"
        started = {name: _moved(name, one, moves, live.app.url, url) for name, one in live.services.items()}
        if not any(_rest(self.database) in value.reveal() for one in started.values() for value in one.env.values()):
            raise CannotRehearse(
                "no service is given the database's URL: it would reach the live database",
                next_step=f"give it in {live.file.name}: [services.NAME.env] DATABASE_URL, as [database] url has it; "
                "or go without: [database] rehearsal = false",
            )
        changes = {
            "app": live.app.model_copy(update={"url": url, "ca": None}),
            "services": started,
            "traffic": live.traffic.model_copy(update={"listen": f"127.0.0.1:{self.front}", "tls": None, "steps": []}),
            "database": live.database.model_copy(update={"url": Secret(self.database), "maintenance_url": None}),
            "cache": live.cache.model_copy(update={"url": Secret(self.cache)}) if live.cache and self.cache else None,
            "stack": Stack(cache=Port(port=self.cache_port)) if self.cache_port is not None else None,
            "state": live.state.model_copy(update={"folder": self.folder, "url": None}),
        }
        return live.derived(changes, [self.database, *([self.cache] if self.cache else [])])


def _moved(name: str, service: Service, moves: Mapping[str, str], app: str, here: str) -> Service:
    env = {}
    for key, secret in service.env.items():
        value, moved = secret.reveal(), ""
        for live, private in moves.items():
            if value.endswith(_rest(live)):
                value, moved = value.removesuffix(_rest(live)), _rest(private)
        value = value.replace(app, here)
        for live in moves:
            if any(part and part in value for part in _parts(live)):
                raise CannotRehearse(
                    f"[services.{name}.env] {key}: tells parts of a live server, so a rehearsal could reach it",
                    next_step="give the service the whole URL in one variable, as the environment's section has it; "
                    "or go without: [database] rehearsal = false",
                )
        env[key] = Secret(value + moved)
    return service.model_copy(update={"env": env})


def _rest(url: str) -> str:
    """What follows the scheme: applications write drivers into it (``postgresql+asyncpg://``)."""
    return url.partition("://")[2]


def _parts(url: str) -> tuple[str, str]:
    """Password and ``host:port`` of a URL, as they stand in it."""
    account, _, server = _rest(url).partition("/")[0].rpartition("@")
    return account.partition(":")[2], server
