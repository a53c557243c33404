"""What a child process gets of the variables around the gate: the few that are named, never all.

A CI's tokens stay with the gate that way.
"""

from __future__ import annotations

import os
from collections.abc import Collection

WINDOWS = (
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "USERNAME",
    "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES",
)  # fmt: skip
"""Without these no program opens a socket there, or finds a program, a folder for temporary files or the user's own."""


def kept(names: Collection[str], prefixes: tuple[str, ...] = (), system: str = os.name) -> dict[str, str]:
    """The variables of these names, or whose names begin so, as far as set; on Windows with what a program needs."""
    wanted = {*names, *(WINDOWS if system == "nt" else ())}
    return {name: value for name, value in os.environ.items() if name in wanted or name.startswith(prefixes)}
