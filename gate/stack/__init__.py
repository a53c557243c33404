"""The servers the gate starts itself: PostgreSQL and the cache of a local environment, and the proxy of every one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from gate.config import CommandSettings, DockerSettings, Environment, SwarmSettings
from gate.errors import StackError
from gate.stack.cache import Cache
from gate.stack.parts import Part
from gate.stack.postgres import Postgres
from gate.stack.proxy import Proxy

if TYPE_CHECKING:
    from gate.remote.proxy import RemoteProxy

__all__ = ["Part", "Stack"]


def _silent(_: str) -> None:
    pass


class Stack:
    """All servers of one environment. They outlive the gate, are found again, and start again where one has died."""

    def __init__(self, environment: Environment) -> None:
        wanted = environment.stack
        self._parts: list[Postgres | Cache | Proxy | RemoteProxy] = []
        if wanted is not None and wanted.postgres is not None:
            self._parts.append(Postgres(environment, wanted.postgres))
        if wanted is not None and wanted.cache is not None:
            self._parts.append(Cache(environment, wanted.cache))
        engine = environment.engine
        if isinstance(engine, DockerSettings) and engine.remote:
            from gate.remote.proxy import RemoteProxy

            self._parts += [RemoteProxy(environment, server) for server in engine.each]
        elif not isinstance(engine, CommandSettings | SwarmSettings):
            self._parts.append(Proxy(environment))

    def open(self) -> None:
        """Makes what the proxy reads reachable, where it lies on a server. Raises StackError, EngineError."""
        for part in self._parts:
            if not isinstance(part, Postgres | Cache | Proxy):
                part.open()

    def up(self, progress: Callable[[str], None] = _silent) -> None:
        """Starts what does not run. Raises StackError; for a wrong environment file before anything has started."""
        if os.name != "posix" and any(isinstance(part, Postgres | Cache | Proxy) for part in self._parts):
            raise StackError(
                f"the gate's own database, cache and proxy need Linux; this is {sys.platform}",
                next_step="remove [stack] and name servers that run elsewhere, or use a Linux machine",
            )
        for part in self._parts:
            part.check()
        for part in self._parts:
            started = part.up()
            found = part.status()
            progress(f"{found.version} {'started' if started else 'runs'} on {found.detail}")

    def down(self, progress: Callable[[str], None] = _silent) -> None:
        """Stops everything, the proxy first. Data stays."""
        for part in reversed(self._parts):
            ran = part.status().alive
            part.down()
            progress(f"{part.name} {'stopped' if ran else 'did not run'}")

    def status(self) -> list[Part]:
        """What runs now. Starts nothing."""
        return [part.status() for part in self._parts]
