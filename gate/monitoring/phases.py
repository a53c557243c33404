"""When the monitoring of a release looks, and how it stands: the plan and the ticks so far in, what is due out. Pure.

A tick belongs to the time from when it is due to when the next one is; one that did not run by then is missed, and a
missed tick is neither green nor red. All reckoning is in elapsed time: a day is 24 hours, whatever the clocks on the
wall do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gate.results import Decision


@dataclass(frozen=True)
class Tick:
    """One look at the release that serves: the ``slot`` of the plan it was for (the first is 0), when it began, how
    long it took in seconds, what it said and why. ``notes``: what it could not ask, and why that weighs nothing.

    ``acted`` says what was done about it; empty where nothing had to be, or whoever had to was killed before.
    """

    deployment: int
    slot: int
    at: datetime
    seconds: float
    decision: Decision
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    acted: str = ""
    id: int = 0

    @property
    def ended_at(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)

    @property
    def unmet(self) -> bool:
        """Whether it was red, and nothing was done about it."""
        return self.decision is Decision.ROLLBACK and not self.acted


@dataclass(frozen=True)
class Due:
    """A tick that is to run now: its ``slot``, since when it is due, and why it runs, where that is not the plan."""

    slot: int
    since: datetime
    why: str = ""


@dataclass(frozen=True)
class Standing:
    """How the monitoring of one release stands at a moment.

    ``missed`` are slots whose time is over and that nobody looked in; ``due`` a tick to run now, ``next_at`` when the
    one after is due, None when the plan is over or somebody else serves by then.
    """

    planned: int
    ticks: tuple[Tick, ...]
    missed: tuple[int, ...]
    due: Due | None
    next_at: datetime | None

    @property
    def red(self) -> Tick | None:
        """The last tick that said ROLLBACK, None without one."""
        return next((tick for tick in reversed(self.ticks) if tick.decision is Decision.ROLLBACK), None)

    @property
    def not_green(self) -> str:
        """Why it is not green, empty when it is: no tick said ROLLBACK, and the last one that was due ran and said GO.

        One that could not tell, or was missed, is cleared by a later one that said GO; a red one never is.
        """
        if self.red is not None:
            return f"red at {moment(self.red.at)}: {self.red.reasons[0] if self.red.reasons else 'no reason recorded'}"
        if not self.ticks:
            return f"{len(self.missed)} ticks were missed and none ran" if self.missed else "no tick has run yet"
        last = self.ticks[-1]
        if last.decision is not Decision.GO:
            return f"inconclusive at {moment(last.at)}: {last.reasons[0] if last.reasons else 'no reason recorded'}"
        since = [slot for slot in self.missed if slot > last.slot]
        if since:
            return f"the last {len(since)} ticks were missed; the last that ran was at {moment(last.at)}"
        return ""

    def __str__(self) -> str:
        counts = {
            "green": sum(tick.decision is Decision.GO for tick in self.ticks),
            "inconclusive": sum(tick.decision not in (Decision.GO, Decision.ROLLBACK) for tick in self.ticks),
            "red": sum(tick.decision is Decision.ROLLBACK for tick in self.ticks),
            "missed": len(self.missed),
        }
        told = ", ".join(f"{many} {name}" for name, many in counts.items() if many) or "no tick yet"
        return f"{told} of {self.planned} ticks"


def offsets(phases: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Seconds after the release at which a tick is due, of phases as (every, until) in seconds.

    ``15m for 2h`` and then ``1h for 24h`` are 0:15 … 2:00, 3:00 … 24:00.
    """
    found: list[float] = []
    begins = 0.0
    for every, until in phases:
        many = int((until - begins) / every + 1e-9)
        found += [begins + every * (number + 1) for number in range(many)]
        begins = until
    return tuple(found)


def standing(
    phases: Sequence[tuple[float, float]],
    released_at: datetime,
    ticks: Sequence[Tick],
    now: datetime,
    *,
    until: datetime | None = None,
) -> Standing:
    """How the monitoring of a release stands that was accepted at ``released_at``; ``until``: another one served from
    then on, so nothing is due any more.

    A clock that stands before what was recorded last has been set back: a tick is due at once, and the plan goes on
    from there by the new clock.
    """
    plan = offsets(phases)
    done = tuple(sorted(ticks, key=lambda tick: tick.id))
    last = done[-1] if done else None
    began = released_at.astimezone(UTC)
    slot, at = (last.slot, last.at.astimezone(UTC)) if last is not None else (-1, began)
    end = (until or now).astimezone(UTC)

    def due_at(number: int) -> datetime:
        """When a slot after the last tick is due: by the plan, or, where that is sooner, by what is between the two."""
        between = plan[number] - (plan[slot] if slot >= 0 else 0.0)
        return min(began + timedelta(seconds=plan[number]), at + timedelta(seconds=between))

    def over_at(number: int) -> datetime:
        """When a slot's time is over; that of the last one is as long as its phase's step."""
        if number + 1 < len(plan):
            return due_at(number + 1)
        return due_at(number) + timedelta(seconds=phases[-1][0])

    waiting = [number for number in range(slot + 1, len(plan)) if over_at(number) > end]
    ran = {tick.slot for tick in done}
    missed = tuple(n for n in range(len(plan)) if n not in ran and (n < slot or (n > slot and n not in waiting)))
    if until is not None:
        return Standing(len(plan), done, missed, None, None)
    due: Due | None = None
    if last is not None and last.unmet:
        due = Due(last.slot, at, "the last one said ROLLBACK, and nothing was done about it")
    elif waiting and end < at:
        due = Due(waiting[0], end, f"the clock was set back: it stands before {moment(at)}, recorded last")
    elif waiting and due_at(waiting[0]) <= end:
        due = Due(waiting[0], due_at(waiting[0]))
    later = [number for number in waiting if due is None or number > due.slot]
    return Standing(len(plan), done, missed, due, due_at(later[0]) if later else None)


def moment(at: datetime) -> str:
    """A time as every line about the monitoring tells it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
