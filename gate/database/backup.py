"""Backups: made from one moment, proven by restoring them and comparing every table with what was live then.

``ID.dump`` is PostgreSQL's custom format, ``ID.json`` its manifest, ``latest.json`` names the last that was proven.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gate.config import Database, Environment
from gate.database import catalog, fingerprint, manifest
from gate.database.binaries import major
from gate.database.cluster import scratch
from gate.database.connection import connect, snapshot, where
from gate.database.dump import SPARE, Progress, check_space, dump, restore, size
from gate.database.manifest import Backup
from gate.database.origin import Origin, make_room, origin_of
from gate.errors import DatabaseError
from gate.redact import Secret

if TYPE_CHECKING:
    from gate.database.connection import Connection

LATEST = "latest.json"
_COMPRESSION = 1  # gzip's fastest: a deployment waits for it
_READ_TIMEOUT = 3600.0  # seconds for one table


@dataclass(frozen=True)
class Verified:
    """A backup was restored and equals what was live: so many tables and rows, in so many seconds."""

    seconds: float
    tables: int
    rows: int


def space_needed(database_bytes: int) -> int:
    """Bytes that must be free to make a backup of a database of this size and to restore it, at the most."""
    return database_bytes * 3 // 2 + SPARE


def create(
    environment: Environment,
    folder: Path,
    *,
    label: str,
    head: str | None = None,
    progress: Progress = lambda _: None,
) -> Backup:
    """Dumps the database of an environment into ``folder``; ``label`` becomes part of the backup's id.

    ``head`` is the revision the schema is at: only a release's migration tool can tell, and nobody else migrates.

    Raises DatabaseError; a backup that was not finished leaves nothing behind.
    """
    database = _database(environment)
    began = time.monotonic()
    taken_at = datetime.now(UTC)
    backup_id = f"{taken_at:%Y%m%dT%H%M%S%f}Z-" + re.sub(r"[^A-Za-z0-9.+-]", "-", label)
    file = folder / f"{backup_id}.dump"
    partial = folder / f"{backup_id}.partial"
    with connect(database.url, statement_timeout=_READ_TIMEOUT, lock_timeout=database.lock_timeout) as connection:
        origin = origin_of(connection)
        check_space(folder, space_needed(origin.size_bytes), f"a backup of {where(database.url)}")
        try:
            # Everything in the manifest and in the dump is of this one moment; sequences alone may run ahead of it.
            with snapshot(connection):
                progress("reading every table")
                sequences = fingerprint.sequences_seen_by(connection)
                tables = fingerprint.data_seen_by(connection)
                schema = fingerprint.schema_seen_by(connection)
                wal = log_position(connection)
                _dump(connection, database, origin, partial, progress)
            manifest.sync(partial)
            bytes_, checksum = partial.stat().st_size, _sha256(partial)
            made = Backup(
                backup_id, environment.name, file, bytes_, checksum, time.monotonic() - began, taken_at, head,
                tables, sequences, schema, origin, wal,
            )  # fmt: skip
            partial.rename(file)
            manifest.write(made)
        except OSError as fault:
            file.unlink(missing_ok=True)
            raise DatabaseError(f"{folder}: the backup could not be written: {fault.strerror}") from None
        finally:
            partial.unlink(missing_ok=True)
    return made


def verify(backup: Backup, environment: Environment, *, progress: Progress = lambda _: None) -> Verified:
    """Restores a backup into a private server and compares schema and every table with what was live.

    Writes ``latest.json`` beside it. Raises DatabaseError that says what differs.
    """
    began = time.monotonic()
    database = _database(environment)
    name = f"backup {backup.id}"
    if backup.environment != environment.name:
        raise DatabaseError(f"{name} is of environment {backup.environment}, not of {environment.name}")
    check_file(backup)
    place = environment.state_folder / "scratch"
    check_space(place, space_needed(backup.origin.size_bytes), f"restoring {name}")
    with scratch(place) as cluster:
        make_room(cluster, backup.origin, like=database.url)
        url = cluster.url(backup.origin.database)
        progress("restoring")
        since = time.monotonic()
        restore(backup.file, url, tick=lambda: progress(f"restoring, {time.monotonic() - since:.0f} s"))
        progress("comparing every table")
        compare(backup, url, major())
    done = Verified(time.monotonic() - began, len(backup.tables), sum(table.rows for table in backup.tables.values()))
    _note_latest(backup, done)
    return done


def compare(backup: Backup, url: Secret, server: int) -> None:
    """Raises DatabaseError unless a database holds what a backup holds; ``server`` is its server's major version."""
    found = fingerprint.data_difference(backup.tables, fingerprint.data(url))
    found += fingerprint.sequence_difference(backup.sequences, fingerprint.sequences(url))
    if server == backup.origin.major:  # another version writes some definitions in other words
        found += fingerprint.difference(backup.schema, fingerprint.schema(url))
    if found:
        raise DatabaseError(f"backup {backup.id}, restored, is not what was live: {'; '.join(found[:5])}")


def log_position(connection: Connection) -> str | None:
    """Where the server's write-ahead log stands, such as 0/16B3748."""
    row = connection.execute(catalog.LOG_POSITION).fetchone()
    return str(row[0]) if row and row[0] is not None else None


def available(folder: Path) -> list[Backup]:
    """The backups in a folder, newest first. Raises DatabaseError for a manifest that cannot be read."""
    found = [manifest.read(file) for file in folder.glob("*.json") if file.name != LATEST]
    return sorted(found, key=lambda item: item.taken_at, reverse=True)


def prune(folder: Path, keep: int, pinned: set[str], days: float = 0) -> list[str]:
    """Removes old backups; returns their ids.

    Kept are the newest ``keep``, those younger than ``days``, those in ``pinned``, and the newest one from before the
    last migration: without it there would be no way back to that schema. What a killed gate left unfinished goes as
    well: call it while no backup is being made.
    """
    kept = available(folder)
    before = next((old.id for old in kept if old.schema_head != kept[0].schema_head), "")
    since = datetime.now(UTC) - timedelta(days=days)
    removed = [old for old in kept[keep:] if old.id not in pinned | {before} and old.taken_at < since]
    for old in removed:
        manifest.path_of(old).unlink()
    files = {item.file for item in kept if item not in removed}
    for file in [*folder.glob("*.dump"), *folder.glob("*.partial")]:
        if file not in files:
            file.unlink()
    return [old.id for old in removed]


def _database(environment: Environment) -> Database:
    if environment.database is None:
        raise DatabaseError(f"{environment.file}: there is no [database] to back up")
    return environment.database


def _dump(connection: Connection, database: Database, origin: Origin, partial: Path, progress: Progress) -> None:
    exported = connection.execute("SELECT pg_export_snapshot()").fetchone()
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    dump(
        database.url,
        partial,
        server=origin.major,
        compression=_COMPRESSION,
        lock_timeout=database.lock_timeout,
        snapshot_id=exported[0] if exported else None,
        tick=lambda: progress(f"{size(partial.stat().st_size)} of at most {size(origin.size_bytes)} written"),
    )


def check_file(backup: Backup) -> None:
    """Raises DatabaseError unless the file is what was written: its length and its checksum."""
    try:
        found = backup.file.stat().st_size
        if found != backup.bytes:
            raise DatabaseError(f"{backup.file}: {found} bytes, was written with {backup.bytes}")
        if _sha256(backup.file) != backup.sha256:
            raise DatabaseError(f"{backup.file}: changed since it was written: another SHA-256")
    except OSError as fault:
        raise DatabaseError(f"{backup.file}: cannot be read: {fault.strerror}") from None


def _note_latest(backup: Backup, verified: Verified) -> None:
    latest = {
        "id": backup.id,
        "taken_at": backup.taken_at.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "bytes": backup.bytes,
        "verified": True,
        "tables": verified.tables,
        "rows": verified.rows,
        "schema_head": backup.schema_head,
    }
    manifest.write_json(backup.file.with_name(LATEST), latest, mode=0o644)  # the application may show it


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
