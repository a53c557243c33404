"""The items of a checklist, and which of them are ticked for one release. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gate.config.approval import Checklist


@dataclass(frozen=True)
class Tick:
    """Somebody ticked an item for the release with this digest, or took that back (``done`` false).

    ``text`` is what the item said then: one that says something else by now is open again.
    """

    item: str
    text: str
    digest: str
    version: str
    done: bool
    by: str
    login: str
    at: datetime


@dataclass(frozen=True)
class ItemState:
    """One item of the list as it stands for a release; ``tick`` None: it is open."""

    phase: str
    item: str
    text: str
    tick: Tick | None


def states(section: Checklist, ticks: Sequence[Tick], digest: str) -> list[ItemState]:
    """Every item, in the list's order; of several ticks, given oldest first, the last one counts."""
    last = {tick.item: tick for tick in ticks if tick.digest == digest}
    found = []
    for item, (phase, text) in section.items.items():
        tick = last.get(item)
        counts = tick is not None and tick.done and tick.text == text
        found.append(ItemState(phase, item, text, tick if counts else None))
    return found


def open_items(found: Sequence[ItemState], phase: str) -> list[ItemState]:
    """The items of a phase that nobody has ticked."""
    return [state for state in found if state.phase == phase and state.tick is None]
