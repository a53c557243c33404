"""Backups by the team's own tool: it makes them, proves them and puts them back; docs/restore.md has the contract."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gate.config import BackupCommands, Environment
from gate.database import base_backup
from gate.database.cluster import Cluster, reserved
from gate.database.connection import where
from gate.database.dump import Progress
from gate.database.manifest import Backup
from gate.database.ways import url_by_way
from gate.errors import DatabaseError, ShellError
from gate.machine import shell, surroundings
from gate.redact import Redactor

THEIRS = "team"
"""The folder below the gate's backups that is the commands' own: the gate neither reads nor removes what is in it."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


def commands(environment: Environment) -> BackupCommands:
    """The commands of an environment. Raises DatabaseError where it names none."""
    found = environment.database.backup if environment.database is not None else None
    if not isinstance(found, BackupCommands):
        raise DatabaseError(
            f"{environment.file}: [database] backup names no commands, and the backup was made by some",
            next_step="put back the commands it was made with",
        )
    return found


def take(environment: Environment, backup_id: str, folder: Path, progress: Progress) -> str:
    """Has the backup made; returns what the tool said, without secrets. Raises DatabaseError."""
    return _run(environment, "command", backup_id, folder, progress)


def prove(environment: Environment, backup_id: str, folder: Path, progress: Progress) -> None:
    """Raises DatabaseError unless the team's own command says that the backup is good."""
    _run(environment, "verify", backup_id, folder, progress)


def demand_restore(made: Backup, environment: Environment) -> None:
    """Raises DatabaseError that says what to do where no command restores the team's backups."""
    if commands(environment).restore is None:
        raise DatabaseError(
            f"backup {made.id} was made by the team's own tool, and [database] backup has no `restore`",
            next_step=f"restore it with that tool, by the id {made.id}, or name its command in {environment.file}",
        )


@contextmanager
def started(made: Backup, environment: Environment, place: Path, progress: Progress) -> Iterator[Cluster]:
    """A private server of what the team's command restores; gone afterwards. Raises DatabaseError."""
    demand_restore(made, environment)
    with reserved(place) as cluster:
        _run(environment, "restore", made.id, made.file.parent, progress, data=cluster.data)
        if not (cluster.data / "PG_VERSION").is_file():
            raise DatabaseError(f"[database] backup restore: ended with 0, but {cluster.data} holds no PostgreSQL data")
        cluster.data.chmod(0o700)
        base_backup.start(cluster, progress)
        yield cluster


def _run(
    environment: Environment, key: str, backup_id: str, folder: Path, progress: Progress, *, data: Path | None = None
) -> str:
    tool = commands(environment)
    words: list[str] = getattr(tool, key)
    known = {"python": sys.executable, "id": backup_id, "folder": str(folder / THEIRS)}
    known |= {"data": str(data)} if data is not None else {}
    if any("{folder}" in word for word in words):
        _make(folder / THEIRS)
    argv = [shell.fill(word, known) for word in words]
    secret = {name: value.reveal() for name, value in tool.env.items()}
    env = surroundings.kept(_KEPT) | secret
    if data is None and environment.database is not None:  # a restore must not find the way to the live database
        url = environment.database.url
        env["DATABASE_URL"] = url_by_way(url, where(url)).reveal()
    name = f"[database] backup {key} ({Path(argv[0]).name})"
    hidden = Redactor([*secret.values(), env.get("DATABASE_URL", "")])
    try:
        ended = shell.run(
            argv,
            cwd=environment.root,
            env=env,
            timeout=tool.timeout,
            check=False,
            tick=_ticking(progress, f"{key} by the team's own tool"),
        )
    except ShellError as fault:
        raise DatabaseError(f"{name}: {hidden(environment.redactor(str(fault)))}") from None
    said = hidden(environment.redactor(f"{ended.out}{ended.err}".strip()))
    if ended.code:
        last = said.splitlines()[-1:]
        raise DatabaseError(": ".join([f"{name}: exit code {ended.code}", *last]))
    return said


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as fault:
        raise DatabaseError(f"{folder}: cannot be made: {fault.strerror}") from None


def _ticking(progress: Progress, what: str) -> Callable[[], None]:
    seconds = iter(range(1, 10**9))
    return lambda: progress(f"{what}, {next(seconds)} s")
