"""Paths of unix sockets: the kernel takes at most 107 bytes, project folders are often deeper."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from gate.errors import OperationFailed

LONGEST = 107


def reachable(folder: Path, room: int) -> Path:
    """A path to ``folder`` short enough for socket names of ``room`` bytes below it.

    Usually the folder itself; else a link in the temporary folder, whose name depends only on the folder.
    Raises OperationFailed when no path is short enough, or somebody else took the link's name.
    """
    folder = folder.absolute()
    if len(os.fsencode(folder)) + 1 + room <= LONGEST:
        return folder
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    link = Path(tempfile.gettempdir()) / f"deploy-gate-{os.getuid()}-{name}"
    if len(os.fsencode(link)) + 1 + room > LONGEST:
        raise OperationFailed(
            f"{folder}: too deep for a unix socket, and so is {link}",
            next_step="export TMPDIR=/tmp, or a shorter folder",
        )
    try:
        link.symlink_to(folder)
    except FileExistsError:
        if link.lstat().st_uid != os.getuid() or link.readlink() != folder:
            raise OperationFailed(f"{link}: needed as a link to {folder}, but it is not ours") from None
    return link


def forget(folder: Path) -> None:
    """Removes the link that ``reachable`` made for a folder, if there is one."""
    name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
    link = Path(tempfile.gettempdir()) / f"deploy-gate-{os.getuid()}-{name}"
    if link.is_symlink() and link.lstat().st_uid == os.getuid():
        link.unlink()
