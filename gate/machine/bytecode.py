"""Bytecode that Python keeps beside a source and runs in its place.

Such a file says itself which source it was made from: by time and size, by a hash, or that nobody should compare. So
whoever writes one has it run instead of the source that was looked at. It is a cache: without it Python makes it anew.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gate.errors import OperationFailed

_FOLDER = "__pycache__"
_NAME = re.compile(r".+\.pyc(\.\d+)?")  # with a number while it is being written


def is_bytecode(file: Path) -> bool:
    """Whether Python may have made a file, and would make it anew. Anything else in such a folder is a file like any
    other, and so is bytecode without a source."""
    return file.parent.name == _FOLDER and _NAME.fullmatch(file.name) is not None


def cached(path: str) -> bool:
    """Whether a path, with slashes, lies in a folder of Python's cache, whoever put it there."""
    return _FOLDER in path.split("/")[:-1]


def files(place: Path) -> list[Path]:
    """Every file of a place, which is one itself or a folder, also behind links to folders; goes round no circle.

    Raises OperationFailed where it cannot be told.
    """
    try:
        return list(_files(place, frozenset()))
    except OSError as fault:
        raise OperationFailed(
            f"{fault.filename or place}: cannot be read: {fault.strerror}",
            next_step="make it readable for who runs the gate, or take it out of the suite",
        ) from None


def forget(places: Iterable[Path]) -> None:
    """Removes the bytecode of places, which are files or folders. Raises OperationFailed where it stays."""
    for place in places:
        beside = place.parent / _FOLDER
        found = files(place) if place.is_dir() else list(beside.glob(f"{glob.escape(place.stem)}.*"))
        for file in filter(is_bytecode, found):
            forget_one(file)


def _files(place: Path, above: frozenset[str]) -> Iterator[Path]:
    if place.is_file():
        yield place
    elif place.is_dir():
        real = os.path.realpath(place)
        if real not in above:
            for entry in sorted(place.iterdir()):
                yield from _files(entry, above | {real})


def forget_one(file: Path) -> None:
    """Removes a file of bytecode; where its folder is a link, the link, for what that leads to is somebody else's.

    Raises OperationFailed where it stays.
    """
    try:
        (file.parent if file.parent.is_symlink() else file).unlink(missing_ok=True)
    except OSError as fault:
        raise OperationFailed(
            f"{file}: Python would run it in place of its source, and it cannot be removed: {fault.strerror}",
            next_step=f"remove {file}",
        ) from None
