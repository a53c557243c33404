"""The write-ahead journal of one deployment: intent before the act, result after, undo in reverse.

What it holds is enough for another process to finish the undo after this one died.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gate.store import Event, Store


@dataclass(frozen=True)
class Begun:
    """A step whose intent was written, with the facts its undo needs; ``done`` when its result was written too."""

    name: str
    facts: dict[str, Any]
    done: bool


class Journal:
    """One deployment's journal."""

    def __init__(self, store: Store, deployment: int) -> None:
        self._store = store
        self.deployment = deployment

    def write(self, step: str, kind: str, facts: dict[str, Any] | None = None) -> None:
        self._store.write(self.deployment, step, kind, facts or {})

    def to_undo(self) -> list[Begun]:
        """Steps that began and were not undone, latest first."""
        return to_undo(self._store.events(self.deployment))


def to_undo(events: list[Event]) -> list[Begun]:
    begun: dict[str, Begun] = {}
    for event in events:
        if event.kind == "do":
            begun[event.step] = Begun(event.step, event.facts, done=False)
        elif event.kind == "done" and event.step in begun:
            begun[event.step] = Begun(event.step, begun[event.step].facts, done=True)
        elif event.kind == "undone":
            begun.pop(event.step, None)
    return list(reversed(begun.values()))
