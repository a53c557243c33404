"""Backups: made from one moment, proven by restoring them and comparing every table with what was live then.

``ID.dump`` is PostgreSQL's custom format, ``ID.base`` a base backup's folder, ``ID.log`` what the team's own tool said;
``ID.json`` is its manifest, ``latest.json`` names the last that was proven.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gate.config import Database, Environment
from gate.database import base_backup, catalog, fingerprint, manifest, team_backup
from gate.database.binaries import major
from gate.database.cluster import scratch
from gate.database.connection import connect, snapshot, where
from gate.database.dump import SPARE, Progress, check_space, dump, restore, size
from gate.database.dump import base_backup as base_backup_of
from gate.database.manifest import Backup
from gate.database.origin import Origin, make_room, origin_of
from gate.errors import DatabaseError
from gate.machine import durable
from gate.redact import Secret

if TYPE_CHECKING:
    from gate.database.connection import Connection

LATEST = "latest.json"
_COMPRESSION = 1  # gzip's fastest: a deployment waits for it
_READ_TIMEOUT = 3600.0  # seconds for one table


_ENDING = {"dump": "dump", "basebackup": "base", "command": "log"}


@dataclass(frozen=True)
class Verified:
    """A backup was proven: so many tables and rows, in so many seconds; ``how`` in words."""

    seconds: float
    tables: int
    rows: int
    how: str = ""


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
    """Makes a backup of an environment's database in ``folder``; ``label`` becomes part of the backup's id.

    ``head`` is the revision the schema is at: only a release's migration tool can tell, and nobody else migrates.

    Raises DatabaseError; a backup that was not finished leaves nothing behind.
    """
    database = _database(environment)
    began = time.monotonic()
    taken_at = datetime.now(UTC)
    backup_id = f"{taken_at:%Y%m%dT%H%M%S%f}Z-" + re.sub(r"[^A-Za-z0-9.+-]", "-", label)
    partial = folder / f"{backup_id}.partial"
    with connect(database.url, statement_timeout=_READ_TIMEOUT, lock_timeout=database.lock_timeout) as connection:
        origin, whole = origin_of(connection), base_backup.whole(connection)
        kind, why = base_backup.choose(connection, database, origin.size_bytes)
        file = folder / f"{backup_id}.{_ENDING[kind]}"
        made = Backup(
            backup_id, environment.name, file, 0, "", 0.0, taken_at, head, {}, {}, [], origin,
            kind=kind, why=why, superuser=whole.superuser, cluster_bytes=whole.bytes,
        )  # fmt: skip
        room = {"dump": origin.size_bytes, "basebackup": whole.bytes, "command": 0}[kind]
        check_space(folder, space_needed(room), f"a backup of {where(database.url)}")
        try:
            match kind:
                case "dump":
                    made = _dumped(connection, database, made, partial, progress)
                case "basebackup":
                    made = _copied(connection, database, made, partial, progress)
                case _:
                    made = replace(made, wal=log_position(connection))
                    said = team_backup.take(environment, backup_id, folder, progress)
                    partial.write_text(f"{backup_id}: made by the team's own command\n{said}\n", encoding="utf-8")
            _sync(partial)
            made = replace(made, bytes=_length(partial), sha256=_sha256(partial), seconds=time.monotonic() - began)
            partial.rename(file)
            manifest.write(made)
        except OSError as fault:
            manifest.remove(file)
            raise DatabaseError(f"{folder}: the backup could not be written: {fault.strerror}") from None
        finally:
            manifest.remove(partial)
    return made


def verify(backup: Backup, environment: Environment, *, progress: Progress = lambda _: None) -> Verified:
    """Restores a backup into a private server and compares schema and every table with what was live.

    A base backup is started there; the team's own tool proves its backup itself. Writes ``latest.json`` beside it.
    Raises DatabaseError that says what differs.
    """
    began = time.monotonic()
    name = f"backup {backup.id}"
    if backup.environment != environment.name:
        raise DatabaseError(f"{name} is of environment {backup.environment}, not of {environment.name}")
    check_file(backup)
    place = environment.state_folder / "scratch"
    match backup.kind:
        case "dump":
            _restored_and_compared(backup, environment, place, progress)
            how = f"restored and compared, {len(backup.tables)} tables, {_rows(backup)} rows equal"
        case "basebackup":
            check_space(place, space_needed(backup.cluster_bytes), f"starting {name}")
            # What it holds of the tables that were written to is known only now.
            backup = replace(backup, tables=base_backup.prove(backup, place, progress))
            still = len(backup.tables) - len(backup.moved)
            how = f"base backup, started, {still} tables equal, {len(backup.moved)} written to meanwhile and whole"
        case _:
            team_backup.prove(environment, backup.id, backup.file.parent, progress)
            how = "made and verified by the team's own commands"
    done = Verified(time.monotonic() - began, len(backup.tables), _rows(backup), how)
    _write(replace(backup, verified_at=datetime.now(UTC).isoformat()))
    _note_latest(backup, done)
    return done


def _restored_and_compared(backup: Backup, environment: Environment, place: Path, progress: Progress) -> None:
    check_space(place, space_needed(backup.origin.size_bytes), f"restoring backup {backup.id}")
    with scratch(place) as cluster:
        make_room(cluster, backup.origin, like=_database(environment).url)
        url = cluster.url(backup.origin.database)
        progress("restoring")
        since = time.monotonic()
        restore(backup.file, url, tick=lambda: progress(f"restoring, {time.monotonic() - since:.0f} s"))
        compare(backup, url, major(), progress)


def _rows(backup: Backup) -> int:
    return sum(table.rows for table in backup.tables.values())


@contextmanager
def as_dump(backup: Backup, environment: Environment, progress: Progress) -> Iterator[tuple[Path, Backup]]:
    """A dump of what a backup holds of its database, and the backup with what has to come out of that dump.

    A base backup, and one of the team's own tool, is started in a private server and dumped there: it holds a whole
    cluster, of which only this database is to be restored. Raises DatabaseError.
    """
    if backup.kind == "dump":
        yield backup.file, backup
        return
    place = environment.state_folder / "scratch"
    check_space(place, space_needed(backup.cluster_bytes * 2), f"restoring backup {backup.id}")
    if backup.kind == "basebackup":
        server = base_backup.started(backup.file, place, progress)
    else:
        team_backup.prove(environment, backup.id, backup.file.parent, progress)
        server = team_backup.started(backup, environment, place, progress)
    with server as cluster, tempfile.TemporaryDirectory(dir=cluster.folder, prefix="dump-") as folder:
        url, file = base_backup.inside(cluster, backup), Path(folder) / "copy.dump"
        if backup.kind == "command":
            tables = fingerprint.data(url, progress=progress)
            backup = replace(
                backup, tables=tables, sequences=fingerprint.sequences(url), schema=fingerprint.schema(url)
            )
        dump(
            url,
            file,
            server=major(),
            compression=0,
            lock_timeout=_READ_TIMEOUT,
            tick=lambda: progress(f"dumping the copy, {size(file.stat().st_size)}"),
        )
        yield file, backup


def compare(backup: Backup, url: Secret, server: int, progress: Progress = lambda _: None) -> None:
    """Raises DatabaseError unless a database holds what a backup holds; ``server`` is its server's major version."""
    progress("comparing every table")
    found = fingerprint.data_difference(backup.tables, fingerprint.data(url, progress=progress))
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

    Kept are the newest ``keep`` that were proven, those younger than ``days``, those in ``pinned``, and the newest
    proven one from before the last migration whose file has its length: without it there would be no way back to that
    schema. One that was never proven stays until a younger one is. What a killed gate left unfinished goes as well:
    call it while no backup is being made.
    """
    kept = available(folder)
    proven = [item for item in kept if item.verified_at]
    before = next((old.id for old in proven if old.schema_head != proven[0].schema_head and _whole(old)), "")
    since = datetime.now(UTC) - timedelta(days=days)
    stays = pinned | {before} | {item.id for item in proven[:keep]}
    if not proven:
        stays |= {item.id for item in kept[:keep]}
    newest = proven[0].taken_at if proven else since
    removed = [
        old
        for old in kept
        if old.id not in stays and (old.taken_at < since if old.verified_at else old.taken_at < newest)
    ]
    for old in removed:
        manifest.path_of(old).unlink()  # first: without it the rest is an orphan that the next run removes
    files = {item.file for item in kept if item not in removed}
    for ending in (*_ENDING.values(), "partial", "new"):
        for file in folder.glob(f"*.{ending}"):
            if file not in files:
                manifest.remove(file)
    return [old.id for old in removed]


def _database(environment: Environment) -> Database:
    if environment.database is None:
        raise DatabaseError(f"{environment.file}: there is no [database] to back up")
    return environment.database


def _dumped(connection: Connection, database: Database, made: Backup, partial: Path, progress: Progress) -> Backup:
    # Everything in the manifest and in the dump is of this one moment; sequences alone may run ahead of it.
    with snapshot(connection):
        made = _seen(connection, made, progress)
        _dump(connection, database, made.origin, partial, progress)
    return made


def _copied(connection: Connection, database: Database, made: Backup, partial: Path, progress: Progress) -> Backup:
    """A base backup ends at a moment of its own: what was live is read before and after, to tell what stood still."""
    with snapshot(connection):
        before = _seen(connection, made, progress)
    partial.mkdir(mode=0o700)

    def tick() -> None:
        progress(f"{size(_length(partial))} of at most {size(made.cluster_bytes)} written")

    base_backup_of(database.url, partial, tick=tick)
    with snapshot(connection):
        after = _seen(connection, made, progress)
    changed = fingerprint.difference(before.schema, after.schema)
    if changed:
        raise DatabaseError(
            f"the schema was changed while the backup was made: {'; '.join(changed[:3])}",
            next_step="try again when nobody changes it",
        )
    moved = {
        name: before.tables[name].rows
        for name in before.tables.keys() & after.tables.keys()
        if before.tables[name] != after.tables[name]
    }
    return replace(after, sequences=before.sequences, wal=before.wal, moved=moved)


def _seen(connection: Connection, made: Backup, progress: Progress) -> Backup:
    """The backup with what is live now. Call it in a snapshot."""
    progress("reading every table")
    return replace(
        made,
        sequences=fingerprint.sequences_seen_by(connection),
        tables=fingerprint.data_seen_by(connection, progress=progress),
        schema=fingerprint.schema_seen_by(connection),
        wal=log_position(connection),
    )


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
        found = _length(backup.file)
        if found != backup.bytes:
            raise DatabaseError(f"{backup.file}: {found} bytes, was written with {backup.bytes}")
        if _sha256(backup.file) != backup.sha256:
            raise DatabaseError(f"{backup.file}: changed since it was written: another SHA-256")
    except OSError as fault:
        raise DatabaseError(f"{backup.file}: cannot be read: {fault.strerror}") from None


def _whole(backup: Backup) -> bool:
    """Whether the file has the length it was written with: reading all of it would take as long as a backup."""
    try:
        return _length(backup.file) == backup.bytes
    except OSError:
        return False


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
    try:
        manifest.write_json(backup.file.with_name(LATEST), latest, mode=0o644)  # the application may show it
    except OSError as fault:
        raise DatabaseError(f"{backup.file.with_name(LATEST)}: cannot be written: {fault.strerror}") from None


def _write(backup: Backup) -> None:
    try:
        manifest.write(backup)
    except OSError as fault:
        raise DatabaseError(f"{manifest.path_of(backup)}: cannot be written: {fault.strerror}") from None


def _files(path: Path) -> list[Path]:
    """The files of a backup: itself, or what lies in its folder."""
    return sorted(path.iterdir()) if path.is_dir() else [path]


def _length(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _sync(path: Path) -> None:
    for file in {*_files(path), path}:
        durable.sync(file)


def _sha256(path: Path) -> str:
    """Of a file's content, or of all the files in a folder one after the other."""
    found = hashlib.sha256()
    for file in _files(path):
        with file.open("rb") as stream:
            while block := stream.read(2**20):
                found.update(block)
    return found.hexdigest()
