"""The lock of an environment whose records lie in PostgreSQL: an advisory lock of a session, gone with its holder."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import sqlalchemy as sa

from gate.errors import Locked, OperationFailed
from gate.records.postgres import PostgresSchema, lock_key

_HOLDER = sa.Table(
    "lock_holder",
    sa.MetaData(),
    sa.Column("session", sa.Integer, primary_key=True),
    sa.Column("told", sa.String),
    sa.Column("host", sa.String),
    sa.Column("boot", sa.String),
    sa.Column("process", sa.Integer),
    sa.Column("since", sa.String),
)
_SESSION = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = :key
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_NEVER_IDLE = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout')
"""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Holder:
    """Who holds the lock: the server's ``session``, and the process of which host it belongs to."""

    session: int
    told: str
    host: str = ""
    boot: str = ""
    process: int = 0

    @property
    def here(self) -> bool:
        """Whether its process was started on this machine since that began to run, among the processes we see.

        A name is no proof, for many machines are called localhost or runner; nor does another boot say which machine
        began anew. Containers of one machine have its kernel and not its processes.
        """
        return self.host == socket.gethostname() and self.boot == _boot() != ""

    @property
    def gone(self) -> bool:
        """Whether its process is provably gone."""
        return self.here and not psutil.pid_exists(self.process)


class AdvisoryLock:
    """The lock of one schema; with a ``name`` another one of the same schema, whose holder is not written down."""

    def __init__(self, place: PostgresSchema, name: str = "") -> None:
        self._place = place
        self._key = lock_key(f"{place.name} {name}" if name else place.name)
        self._signs = not name
        self._connection: sa.Connection | None = None

    @contextmanager
    def held(self, told: str) -> Iterator[None]:
        """Holds it for a block. Raises Locked naming the holder, OperationFailed where the server does not answer."""
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._place.connectable().connect())
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(sa.text(_NEVER_IDLE))
                if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(self._key))):
                    raise Locked(
                        f"another run holds this environment: {self._described(connection)}",
                        next_step="wait for it to end; the lock is free once its holder is gone",
                    )
                if self._signs:
                    self._place.open()
                    self._sign(connection, told)
            except sa.exc.SQLAlchemyError as fault:
                raise self._place.unusable(fault) from None
            self._connection = connection
            try:
                yield  # the session ends after it, and the lock with it
            finally:
                self._connection = None
                if self._signs:
                    with suppress(sa.exc.SQLAlchemyError):
                        connection.execute(sa.delete(_HOLDER))

    def demand(self) -> None:
        """Raises OperationFailed unless the lock is still ours."""
        connection = self._connection
        try:
            if connection is None:
                raise OperationFailed("the lock of this environment is not held")
            mine = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            if connection.scalar(sa.text(_SESSION), {"key": self._key}) != mine:
                raise OperationFailed("the lock of this environment is not ours any more")
        except sa.exc.SQLAlchemyError as fault:
            lost = self._place.unusable(fault)
            raise OperationFailed(f"the lock of this environment was lost: {lost}", next_step=lost.next_step) from None

    def holder(self) -> Holder | None:
        """Who holds it now. Raises OperationFailed where the server does not answer."""
        try:
            with self._place.connectable().connect() as connection:
                return self._holder(connection)
        except sa.exc.SQLAlchemyError as fault:
            raise self._place.unusable(fault) from None

    def end(self, holder: Holder) -> None:
        """Ends the session of a holder that is gone; the lock is free then. Raises OperationFailed."""
        try:
            with self._place.connectable().connect() as connection:
                if self._holder(connection) == holder:  # and nobody who took it meanwhile
                    connection.execute(sa.select(sa.func.pg_terminate_backend(holder.session)))
        except sa.exc.SQLAlchemyError as fault:
            raise self._place.unusable(fault) from None

    def _sign(self, connection: sa.Connection, told: str) -> None:
        connection.execute(sa.delete(_HOLDER))
        session = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        here = {"host": socket.gethostname(), "boot": _boot(), "process": psutil.Process().pid}
        since = datetime.now(UTC).isoformat(timespec="seconds")
        connection.execute(sa.insert(_HOLDER).values(session=session, told=told, since=since, **here))

    def _described(self, connection: sa.Connection) -> str:
        found = self._holder(connection)
        return found.told if found is not None else "a run that has just ended"

    def _holder(self, connection: sa.Connection) -> Holder | None:
        session = connection.scalar(sa.text(_SESSION), {"key": self._key})
        if session is None:
            return None
        if not sa.inspect(connection).has_table(_HOLDER.name):
            return Holder(session, "a run that has just begun")
        row = connection.execute(sa.select(_HOLDER).where(_HOLDER.c.session == session)).first()
        if row is None:
            return Holder(session, "a run that has just begun")
        return Holder(session, f"{row.told} since {row.since}", row.host, row.boot, row.process)


def _boot() -> str:
    """What this machine's kernel calls the time since it started, and the set of processes we are one of.

    Empty where it does not say.
    """
    try:
        return f"{_BOOT.read_text().strip()} {_PROCESSES.readlink()}"
    except OSError:
        return ""
