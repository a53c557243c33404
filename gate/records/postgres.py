"""Records in a PostgreSQL that a team shares: a schema for each environment, so that one server keeps many."""

from __future__ import annotations

import hashlib
import re

import sqlalchemy as sa

from gate.errors import OperationFailed
from gate.records import schema
from gate.redact import Redactor, Secret

_LONGEST = 63  # bytes of a name in PostgreSQL
_PATIENCE = 3  # seconds: while it does not answer, nothing else is done
_UNHURRIED = "SET LOCAL statement_timeout = '60s'"  # a migration, and whoever waits for it
_DRIVER = re.compile(r"^postgres(?:ql)?(?:\+[a-z0-9_]+)?://")


def schema_name(application: str, environment: str) -> str:
    """``deploy_gate_store_production``; with a part of a hash behind it where the names had to be changed for it."""
    plain = f"deploy_gate_{application}_{environment}"
    name = re.sub(r"[^a-z0-9_]", "_", plain.lower())[: _LONGEST - 9]
    return name if name == plain else f"{name}_{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def lock_key(name: str) -> int:
    """The number that stands for a schema among PostgreSQL's advisory locks: 64 bits, with a sign."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


class PostgresSchema:
    """One schema of a server; ``url`` is a PostgreSQL URL whose role may create it."""

    def __init__(self, url: Secret, name: str) -> None:
        self.name = name
        self._url = url

    @property
    def lasting(self) -> bool:
        return True

    def open(self) -> sa.Engine:
        """The schema, made if it is not there."""
        engine = self.connectable(pool=sa.QueuePool)
        with engine.begin() as connection:
            if schema.revision(connection) == schema.HEAD:
                return engine
        with engine.begin() as connection:
            connection.execute(sa.text(_UNHURRIED))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_key(f"{self.name} schema"))))
            connection.execute(sa.schema.CreateSchema(self.name, if_not_exists=True))
            schema.migrate(connection, str(self))
        return engine

    def connectable(self, pool: type[sa.Pool] = sa.NullPool) -> sa.Engine:
        """An engine that sees the schema's tables alone, and gives up within some seconds."""
        options = f"-c search_path={self.name} -c statement_timeout={_PATIENCE * 1000} -c synchronous_commit=on"
        limits = {
            "connect_timeout": _PATIENCE,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": _PATIENCE * 1000,
            "application_name": "deploy-gate",
            "options": options,
        }
        url = sa.make_url(_DRIVER.sub("postgresql+psycopg://", self._url.reveal()))
        return sa.create_engine(url, connect_args=limits, poolclass=pool, pool_pre_ping=True, hide_parameters=True)

    def unusable(self, fault: Exception) -> OperationFailed:
        """A server that does not answer, or does not let us in."""
        cause = getattr(fault, "orig", None) or fault
        told = Redactor([self._url.reveal()])(" ".join(str(cause).split()))
        return OperationFailed(
            f"{self}: the gate's own records cannot be used: {type(cause).__name__}: {told}",
            next_step="check the server that [state] url names, and its role's rights; rollback works without it",
        )

    def __str__(self) -> str:
        url = sa.make_url(_DRIVER.sub("postgresql+psycopg://", self._url.reveal()))
        return f"schema {self.name} of {url.database} at {url.host or 'this machine'}"
