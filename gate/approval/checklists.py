"""The items of a checklist, and which of them are ticked for one deployment of one release. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
class Span:
    """The times between which a tick is about one deployment of a release; None: without a limit.

    ``cleared``: when the run before it that touched anything ended: what was ticked until then was ticked for another
    state of things. ``began``, ``ended``: the deployment's own. ``again``: when its release was deployed once more.
    ``judged``: the moment at which a tick of ``before`` may not be older than ``lasts``.
    """

    judged: datetime
    lasts: timedelta
    cleared: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None
    again: datetime | None = None

    def fault(self, phase: str, tick: Tick) -> str:
        """Why a tick is not about this deployment; empty when it is."""
        if phase != "before":
            early = self.began is not None and tick.at < self.began
            late = self.again is not None and tick.at >= self.again
            return "for another deployment" if early or late else ""
        if self.cleared is not None and tick.at <= self.cleared:
            return "for an earlier deployment"
        if self.ended is not None and tick.at > self.ended:
            return "for a later deployment"
        if self.judged >= tick.at + self.lasts:
            return f"expired at {tick.at + self.lasts:%Y-%m-%d %H:%M} UTC"
        return ""


@dataclass(frozen=True)
class ItemState:
    """One item of the list as it stands; ``tick`` None: it is open, and ``why`` its last tick does not count, if there
    is one."""

    phase: str
    item: str
    text: str
    tick: Tick | None
    why: str = ""


def states(
    section: Checklist, ticks: Sequence[Tick], digest: str, span: Span, names: Collection[str] = ()
) -> list[ItemState]:
    """Every item, in the list's order; of several ticks about the deployment, given oldest first, the last one counts.

    ``names``: whose ticks count; without any, everybody's.
    """
    found = []
    for item, (phase, text) in section.items.items():
        mine = [tick for tick in ticks if tick.digest == digest and tick.item == item]
        about = [tick for tick in mine if not span.fault(phase, tick)]
        last = next(reversed(about or mine), None)
        if last is None or not last.done:
            found.append(ItemState(phase, item, text, None))
            continue
        fault = span.fault(phase, last) or _fault(last, text, names)
        why = f"ticked by {last.by}, {last.at:%Y-%m-%d %H:%M} UTC: {fault}" if fault else ""
        found.append(ItemState(phase, item, text, None if fault else last, why))
    return found


def _fault(tick: Tick, text: str, names: Collection[str]) -> str:
    """Why a tick does not count, whenever it was made; empty when it does."""
    if tick.text != text:
        return "when it said something else"
    return "who is nobody in [approval.people]" if names and tick.by not in names else ""


def open_items(found: Sequence[ItemState], phase: str) -> list[ItemState]:
    """The items of a phase that nobody has ticked."""
    return [state for state in found if state.phase == phase and state.tick is None]
