"""A window is open, nothing is frozen, and the deployment would end while that is so."""

from __future__ import annotations

from datetime import datetime, timedelta

from gate.conditions.base import Condition, Question, unmet
from gate.records.journal import DIED
from gate.records.store import Store
from gate.results import Outcome
from gate.schedule.calendar import local

_LAST = 5
"""Past deployments that tell how long one takes; the slowest of them counts."""
_WAITED = {"held", "kept", DIED}
"""What the journal has of one whose time tells how long somebody was waited for."""


def expected(store: Store, otherwise: float) -> timedelta:
    """How long a deployment here takes: the slowest of the last five that were released, without those that waited for
    a person or for ``recover``; ``otherwise`` (seconds) where there is none."""
    told: list[timedelta] = []
    for item in store.deployments():
        released = item.action == "deploy" and item.outcome is Outcome.RELEASED
        if not released or item.ended_at is None or any(event.kind in _WAITED for event in store.events(item.id)):
            continue
        told.append(datetime.fromisoformat(item.ended_at) - datetime.fromisoformat(item.started_at))
        if len(told) == _LAST:
            break
    return max(told, default=timedelta(seconds=otherwise))


def window(question: Question) -> list[Condition]:
    """An off-peak window is open, and long enough from now on."""
    section = question.environment.schedule
    if not section.windows:
        return []
    calendar = section.calendar
    windows = f"{', '.join(item.text for item in section.windows)} {section.zone}"
    shown = local(question.now, calendar.zone)
    span = calendar.window(question.now)
    if span is None:
        return [unmet("window", f"{shown} lies outside of the window {windows}", _later(question))]
    return _ends_in_time(question, "window", span.ends, f"the window {windows} closes")


def freeze(question: Question) -> list[Condition]:
    """No freeze holds now, and none begins before the deployment would end."""
    section = question.environment.schedule
    if not section.freezes:
        return []
    calendar = section.calendar
    frozen = calendar.frozen(question.now)
    if frozen is not None:
        text = f"frozen until {local(frozen[1], calendar.zone)}: {frozen[0].reason}"
        return [unmet("freeze", text, _later(question))]
    begins = calendar.next_freeze(question.now)
    if begins is None:
        return [Condition("freeze", "none now, and none to come")]
    return _ends_in_time(question, "freeze", begins, "a freeze begins")


def _ends_in_time(question: Question, name: str, end: datetime | None, told: str) -> list[Condition]:
    section = question.environment.schedule
    needed = expected(question.store, section.expected)
    at = local(end, section.calendar.zone) if end is not None else ""
    if end is not None and question.now + needed > end:
        text = f"it would not end in time: a deployment takes {_minutes(needed)} here, and {told} at {at}"
        return [unmet(name, text, _later(question))]
    return [Condition(name, f"{told} at {at}; a deployment takes {_minutes(needed)} here" if at else "always open")]


def _later(question: Question) -> str:
    """The command to type next, and when."""
    section = question.environment.schedule
    needed = expected(question.store, section.expected)
    chance = section.calendar.next_chance(question.now, needed)
    if chance is None:
        shown = question.environment.file.name
        return f"edit environments/{shown}: within 400 days no [schedule] window is long enough for {_minutes(needed)}"
    command = question.command(f"--version {question.release.version}")
    return f"{command}   from {local(chance, section.calendar.zone)} on"


def _minutes(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
