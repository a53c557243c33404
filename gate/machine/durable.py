"""Files that are there whole or not at all, and stay, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def write(file: Path, content: str | bytes, *, mode: int | None = None, by: Path | None = None) -> None:
    """Puts ``content`` in a file's place in one step: whoever reads sees the old file or the new one.

    ``mode``: who may use it, whatever the umask says; without one the umask says it. ``by``: the name that it is
    written under first, on the same file system; without one, ``file`` with ``.new`` behind it. Raises OSError; then
    the old file stands.
    """
    new = by or file.with_name(f"{file.name}.new")
    try:
        new.unlink(missing_ok=True)  # a killed writer's has its own mode
        with os.fdopen(
            os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode), "wb"
        ) as stream:
            if mode is not None:
                new.chmod(mode)
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync(file.parent)


def sync(path: Path) -> None:
    """Brings a file, or a folder's list of names, to the disk. Raises OSError."""
    if path.is_dir() and os.name != "posix":
        return  # a folder cannot be opened there, and its names are written by themselves
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
