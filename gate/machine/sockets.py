"""Paths of unix sockets: the kernel takes at most 107 bytes, project folders are often deeper."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from gate.errors import OperationFailed

LONGEST = 107
_PREFIX = "deploy-gate-"


def reachable(folder: Path, room: int) -> Path:
    """A path to ``folder`` short enough for socket names of ``room`` bytes below it.

    Usually the folder itself; else a link in the temporary folder, whose name depends only on the folder.
    Raises OperationFailed when no path is short enough, or somebody else took the link's name.
    """
    folder = folder.absolute()
    if len(os.fsencode(folder)) + 1 + room <= LONGEST:
        return folder
    link = _link(folder)
    if len(os.fsencode(link)) + 1 + room > LONGEST:
        raise OperationFailed(
            f"{folder}: too deep for a unix socket, and so is {link}",
            next_step="export TMPDIR=/tmp, or a shorter folder",
        )
    if not link.is_symlink():
        _tidy()
    try:
        link.symlink_to(folder)
    except FileExistsError:
        if link.lstat().st_uid != os.getuid() or link.readlink() != folder:
            raise OperationFailed(f"{link}: needed as a link to {folder}, but it is not ours") from None
    return link


def forget(folder: Path) -> None:
    """Removes the link that ``reachable`` made for a folder, if there is one."""
    link = _link(folder.absolute())
    if link.is_symlink() and link.lstat().st_uid == os.getuid():
        link.unlink()


def _link(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"{_PREFIX}{os.getuid()}-{name}"


def _tidy() -> None:
    """Removes our links to folders that are gone."""
    for link in Path(tempfile.gettempdir()).glob(f"{_PREFIX}{os.getuid()}-*"):
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
