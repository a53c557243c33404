"""Records in a file of this machine. Every write is on disk before the call returns (``synchronous=FULL``)."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gate.errors import OperationFailed
from gate.records import schema

_ROOM = 1 << 20
"""Bytes of free disk below which a write that fails has failed for want of space."""
_WAIT = 5  # seconds for another process's write


class SqliteFile:
    """A SQLite file; None: in memory, for what cannot be kept anywhere."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    @property
    def lasting(self) -> bool:
        return self._file is not None

    def open(self) -> sa.Engine:
        """The file, made if it is not there."""
        if self._file is None:
            engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
        else:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(f"sqlite:///{self._file}", connect_args={"timeout": _WAIT})
        sa.event.listen(engine, "connect", _durable)
        sa.event.listen(engine, "begin", _begin)
        with engine.connect() as connection:
            if schema.revision(connection) == schema.HEAD:
                return engine
        # Nobody else writes from here on; two that begin at once migrate once.
        with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
            schema.migrate(connection, str(self._file))
        return engine

    def unusable(self, fault: Exception) -> OperationFailed:
        """What to do depends on whether the file is damaged, the disk full, or neither."""
        cause = getattr(fault, "orig", None) or fault
        folder = self._file.parent if self._file is not None else Path()
        step = f"check the disk and the permissions of {folder}"
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest of it tells more than is needed here
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            step = (
                f"move it away: mv {self._file} {self._file}.damaged; what serves goes on, lost are the history, "
                "where rollback leads to, and how to undo a deployment that has not ended"
            )
        elif code == sqlite3.SQLITE_FULL or _no_room(folder):  # of its helper files it tells only that they failed
            step = "free some disk space"
        return OperationFailed(
            f"{self._file}: the gate's own records cannot be used: {type(cause).__name__}: {cause}", next_step=step
        )


def _no_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _ROOM
    except OSError:
        return False


def _durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so, also those that change the schema
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
