"""The write-ahead journal of one deployment: intent before the act, result after, undo in reverse.

What it holds is enough for another process to finish the undo after this one died.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gate.records.store import Event, Store

DIED = "died"
"""Kind of the line that ``recover`` writes where the gate had died: what follows says nothing about the release."""
TOUCHING = {"pause", "migrate", "start", "canary", "promote", "swap"}
"""Steps whose intent means that something may be otherwise: for users, in the data, or beside what serves."""


@dataclass(frozen=True)
class Begun:
    """A step whose intent was written, with the facts its undo needs; ``done`` when its result was written too."""

    name: str
    facts: dict[str, Any]
    done: bool


class Journal:
    """One deployment's journal, on disk and in memory: an undo in the same process must not need the disk."""

    def __init__(self, store: Store, deployment: int) -> None:
        self._store = store
        self._events: list[Event] = []
        self.deployment = deployment
        self.resumed = False

    def resume(self) -> None:
        """Takes up what another process wrote. Raises OperationFailed."""
        self._events = self._store.events(self.deployment)
        self.resumed = True

    def write(self, step: str, kind: str, facts: dict[str, Any] | None = None) -> None:
        """Raises OperationFailed when it is not on disk."""
        self._events.append(Event(step, kind, facts or {}, ""))
        self._store.write(self.deployment, step, kind, facts or {})

    def began(self, step: str) -> bool:
        """Whether the intent of a step was ever written."""
        return any(event.step == step and event.kind == "do" for event in self._events)

    def finished(self, step: str) -> bool:
        """Whether the result of a step was ever written."""
        return any(event.step == step and event.kind == "done" for event in self._events)

    def held(self) -> Event | None:
        """Where the run is held, waiting for a person; None when it is not."""
        last = self._events[-1] if self._events else None
        return last if last is not None and last.kind == "held" else None

    def facts(self, step: str) -> dict[str, Any]:
        """What the intent of a step says; empty where it never began."""
        return next((event.facts for event in reversed(self._events) if (event.step, event.kind) == (step, "do")), {})

    def last(self, kind: str) -> dict[str, Any]:
        """The facts of the newest line of a kind, of any step; empty without one."""
        return next((event.facts for event in reversed(self._events) if event.kind == kind), {})

    def to_undo(self) -> list[Begun]:
        """Steps that began and were not undone, latest first."""
        return to_undo(self._events)

    def judged(self) -> dict[str, Any]:
        """What the run that undid the steps had decided, as ``judged`` has it."""
        return judged(self._events)


def judged(events: Iterable[Event]) -> dict[str, Any]:
    """The ``outcome`` a run was undone for and its ``reasons``, as the lines of its undo tell; empty where none does.

    Its end may never have been written down: it died in its undo.
    """
    return next((event.facts for event in events if event.kind == "undo" and event.facts.get("outcome")), {})


def to_undo(events: Iterable[Event]) -> list[Begun]:
    """Steps among ``events`` that began and were not undone, latest first."""
    begun: dict[str, Begun] = {}
    for event in events:
        if event.kind == "do":
            begun[event.step] = Begun(event.step, event.facts, done=False)
        elif event.kind == "done" and event.step in begun:
            begun[event.step] = Begun(event.step, begun[event.step].facts, done=True)
        elif event.kind == "undone":
            begun.pop(event.step, None)
    return list(reversed(begun.values()))
