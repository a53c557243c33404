"""The report of a deployment: the one place where it may lie, and how a server's is put there.

Later steps publish what lies there, so nobody else says where it is: no absolute path, no ``..``, no link.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

LARGEST = 1_000_000_000
"""Bytes that a report may have with all that lies beside it; a few million are usual."""
MOST = 2_000
"""Files and folders of it; some tens are usual."""
_PIECE = 1 << 20


class Misplaced(Exception):  # noqa: N818 - read as "the report is misplaced"
    """A report that is not taken; the message says why."""


def number(document: Mapping[str, Any]) -> str:
    """The number of the deployment that an answer is about; empty where it names none."""
    found = document.get("deployment")
    return str(found) if type(found) is int and found > 0 else ""


def named(document: Mapping[str, Any], environment: str) -> Path | None:
    """The report that an answer names, as a path in the project; None without one. Raises Misplaced."""
    said = document.get("report")
    if not said:
        return None
    place = Path("reports", environment, number(document) or "0", "report.html")
    if Path(str(said)) != place:
        raise Misplaced(f"{said} is not taken for one: that of this deployment is {place}")
    return place


def lies(folder: Path, report: Path) -> bool:
    """Whether this report is a file of the project, and no part of its path a link."""
    parts = [folder / report, *(folder / part for part in report.parents if part.parts)]
    return (folder / report).is_file() and not any(part.is_symlink() for part in parts)


def take(sent: IO[bytes], into: IO[bytes], largest: int) -> None:
    """Writes what is sent into a file, from its beginning on. Raises Misplaced where it is more than ``largest``."""
    size = 0
    while piece := sent.read(_PIECE):
        size += len(piece)
        if size > largest:
            raise Misplaced(f"the server sends more than {largest} bytes")
        into.write(piece)
    into.seek(0)


def unpack(packed: IO[bytes], folder: Path, report: Path) -> None:
    """Puts a tar of a report's folder in that folder's place, as a whole. Raises Misplaced."""
    place = folder / report.parent
    if any((folder / part).is_symlink() for part in report.parents if part.parts):
        raise Misplaced(f"{report.parent}: is a link, or lies behind one")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=place.parent) as name:
            new = Path(name) / "new"
            new.mkdir()
            strange = _unpacked(packed, new)
            if not strange:
                if place.exists():
                    shutil.rmtree(place)
                new.rename(place)
    except Exception as fault:  # noqa: BLE001 - whatever bytes a server sends, the outcome stands
        raise Misplaced(f"{report.parent}: cannot be unpacked: {type(fault).__name__}") from None
    if strange:
        raise Misplaced(f"{report.parent}: {strange}")


def _unpacked(packed: IO[bytes], new: Path) -> str:
    """Unpacks a tar of files and folders; of one that holds anything else, or too many, nothing: returns why."""
    with tarfile.open(fileobj=packed, mode="r:") as tar:
        for number, entry in enumerate(tar):
            if number == MOST:
                return f"holds more than {MOST} files"
            if not (entry.isdir() or (entry.isreg() and not entry.issparse())):
                return "holds something that is neither a file nor a folder"
        tar.extractall(new, filter="data")
    return ""
