"""The files of what was seen of live traffic: one for each watch over a deployment, and rows of observations in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gate.live.observations import Observation, from_row, to_row
from gate.redact import Redactor


@dataclass(frozen=True)
class Watched:
    """What one watch saw, as rows of ``gate.live.observations``; ``held``: it only watched what waited for a person."""

    began_at: datetime
    held: bool
    rows: tuple[tuple[Any, ...], ...]

    @property
    def observations(self) -> list[Observation]:
        return [from_row(row) for row in self.rows]


class Rows:
    """The file of one watch, made new below ``folder``; ``origin`` is when it began, in seconds since the epoch.

    It is free of secrets, as everything that becomes part of a report: users may put one into a path.
    """

    def __init__(self, folder: Path, origin: float, *, held: bool, redact: Redactor) -> None:
        self._redact = redact
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + len(list(folder.glob(_FILES)))
        self._file = (folder / f"live-{number}.jsonl").open("x", encoding="utf-8")
        self._line({"began": datetime.fromtimestamp(origin, UTC).isoformat(), "held": held})

    def write(self, seen: Iterable[Observation]) -> None:
        for item in seen:
            self._line(self._redact.tree(to_row(item)))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _line(self, value: object) -> None:
        self._file.write(json.dumps(value, separators=(",", ":")) + "\n")


def read(folder: Path) -> list[Watched]:
    """What every watch over a deployment saw, the first one first. Raises OSError, ValueError."""
    found = []
    for file in folder.glob(_FILES):
        lines = file.read_text(encoding="utf-8").splitlines()
        if lines and not file.read_bytes().endswith(b"\n"):
            lines.pop()  # its writer was killed within it
        if lines:
            head, *rows = map(json.loads, lines)
            found.append(Watched(datetime.fromisoformat(head["began"]), bool(head["held"]), tuple(map(tuple, rows))))
    return sorted(found, key=lambda one: one.began_at)


_FILES = "live-*.jsonl"
