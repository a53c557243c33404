"""One deployment at a time: a lock that dies with its holder and tells who holds it."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from gate.errors import Locked, OperationFailed


def whoami() -> str:
    """``user@host`` of this process; a user without a name is its number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@contextmanager
def held(file: Path, purpose: str) -> Iterator[None]:
    """Holds the lock for a block. Raises Locked, naming the holder, when another process has it.

    The kernel frees it when the holder dies, however it dies; the text in the file only explains.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as fault:
        raise OperationFailed(f"{file}: the lock cannot be opened: {fault.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(
                f"another run holds this environment: {_described(file)}",
                next_step="wait for it to end; the lock is free the moment its holder is gone",
            ) from None
        holder = {"by": whoami(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        with suppress(OSError):  # a full disk: the lock is held all the same
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps({**holder, "purpose": purpose}).encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder(file: Path) -> str | None:
    """Who holds the lock now, None when nobody does."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _described(file)
    finally:
        os.close(handle)
    return None


def _described(file: Path) -> str:
    try:
        told = json.loads(file.read_text())
        return f"{told['purpose']} by {told['by']} (process {told['pid']}) since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # taken this very moment: its holder has not written yet
        return "a run that has just begun"
