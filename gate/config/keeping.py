"""What the gate starts and keeps itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gate.config.fields import Section
from gate.redact import Secret


class Port(Section):
    """A server of the embedded stack and the port it listens on (loopback only)."""

    port: Annotated[int, Field(ge=1024, le=65535, description="On the loopback address")]


class Stack(Section):
    """Servers that ``up`` starts from wheels, for environments that have none of their own."""

    postgres: Port | None = None
    cache: Port | None = None


class Retention(Section):
    """How much is kept for a rollback."""

    backups: Annotated[int, Field(ge=1)] = Field(
        5, description="Newest backups kept; the newest from before the last migration stays as well"
    )
    backup_days: Annotated[float, Field(ge=0)] = Field(0, description="Backups younger than this many days stay too")
    instances: Annotated[int, Field(ge=1)] = Field(2, description="Newest deployments whose logs and facts are kept")


class State(Section):
    """Where the gate keeps its journal, lock, backups and logs."""

    folder: str = Field(".gate", description="Folder; each environment has one of its name in it")
    url: Secret | None = Field(
        None,
        description="postgresql://… for the records and the lock of several machines; without it: files in the folder",
    )
