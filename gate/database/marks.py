"""What a migration's author says of it in a comment of its file: ``# gate: contract``, ``-- gate: irreversible``."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from gate.database.migrations import Migration
from gate.errors import DatabaseError


class Mark(StrEnum):
    """``contract``: no release needs the old form any more, or users may wait while it is replaced. ``irreversible``:
    the way down cannot bring back what was there."""

    CONTRACT = "contract"
    IRREVERSIBLE = "irreversible"


_LINE = re.compile(r"^[ \t]*(?:#|--)[ \t]*gate:[ \t]*(?P<words>.*?)[ \t]*$", re.M | re.I)
_ELSEWHERE = {"no transaction"}  # said to the tool that runs SQL files


def of(release: Path, migration: Migration) -> frozenset[Mark]:
    """The marks of a migration: those its tool told, and those in its file.

    Raises DatabaseError for a word that is no mark: misspelt, it would say nothing.
    """
    found = {Mark(name) for name in migration.marks}
    file = release / migration.file
    text = file.read_text(encoding="utf-8", errors="replace") if migration.file and file.is_file() else ""
    for line in _LINE.finditer(text):
        words = " ".join(line["words"].lower().split())
        if words in _ELSEWHERE:
            continue
        if words not in set(Mark):
            raise DatabaseError(
                f"{file}: 'gate: {line['words']}' is no mark; there are {', '.join(Mark)}",
                next_step="one mark a line, such as: gate: contract",
            )
        found.add(Mark(words))
    return frozenset(found)
