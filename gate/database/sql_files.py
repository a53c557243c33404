"""A release's folder of plain SQL migrations: ``0001_name.up.sql``, and ``0001_name.down.sql`` to take it back."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gate.errors import DatabaseError

_NAME = re.compile(r"(?P<id>(?P<number>\d+)[_-](?P<title>[\w.-]+?))\.(?P<way>up|down)\.sql")
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.S)
_NO_TRANSACTION = re.compile(r"\s*--\s*gate:\s*no transaction\s*$", re.I)


@dataclass(frozen=True)
class Script:
    """One file: its path inside the release, what stands in it, and whether it runs in a transaction."""

    file: str
    text: str
    transaction: bool

    @property
    def acts(self) -> bool:
        """Whether there is more in it than comments."""
        return bool(_COMMENTS.sub("", self.text).strip(" \t\r\n;"))


@dataclass(frozen=True)
class Step:
    """One revision: the way up, the way down where there is one, and the SHA-256 of the way up."""

    id: str
    title: str
    up: Script
    down: Script | None
    checksum: str


def order(revision: str) -> tuple[int, str]:
    """Where a revision stands among others: by the number it starts with."""
    number = re.match(r"\d+", revision)
    return (int(number[0]) if number else 0, revision)


def read(release: Path, folder: str) -> list[Step]:
    """The migrations in ``folder`` of a release, oldest first.

    Raises DatabaseError for a folder that is missing, a name that says nothing, a number given twice, or a way down
    without a way up: what would be skipped in silence.
    """
    place = release / folder
    if not place.is_dir():
        raise DatabaseError(
            f"{place}: no such folder", next_step="correct [database.migrations] folder, or build the release with it"
        )
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(place.glob("*.sql")):
        name = _NAME.fullmatch(file.name)
        if name is None:
            raise DatabaseError(
                f"{file}: not the name of a migration", next_step="write 0001_name.up.sql and 0001_name.down.sql"
            )
        found.setdefault(name["id"], {})[name["way"]] = file
    for number, times in Counter(order(revision)[0] for revision in found).items():
        if times > 1:
            same = ", ".join(revision for revision in found if order(revision)[0] == number)
            raise DatabaseError(
                f"{place}: {same} have the same number", next_step="give the later one a number of its own"
            )
    return [_step(release, revision, found[revision]) for revision in sorted(found, key=order)]


def _step(release: Path, revision: str, files: dict[str, Path]) -> Step:
    if "up" not in files:
        raise DatabaseError(f"{files['down']}: there is no {revision}.up.sql beside it")
    title = re.sub(r"[_-]+", " ", re.sub(r"^\d+", "", revision)).strip()
    down = _script(release, files["down"]) if "down" in files else None
    checksum = hashlib.sha256(files["up"].read_bytes()).hexdigest()
    return Step(revision, title, _script(release, files["up"]), down, checksum)


def _script(release: Path, file: Path) -> Script:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DatabaseError(f"{file}: not UTF-8") from None
    first = text.split("\n", 1)[0]
    return Script(file.relative_to(release).as_posix(), text, transaction=not _NO_TRANSACTION.fullmatch(first))
