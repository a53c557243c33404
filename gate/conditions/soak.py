"""Whether a release has soaked elsewhere: released there, served long enough, its monitoring stayed green. Pure.

It is the same release only by its digest. Time counts while it served there, also where another that was accepted has
taken its place since; one that was rolled back from has not soaked, however long it took until somebody noticed. Green
is what was looked at: of the ticks that were due nearly all ran and said GO, not only the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gate.monitoring.phases import Standing, moment
from gate.results import Decision

GREEN = 0.8
"""The share of the ticks due that must have run and said GO; the others were missed or inconclusive, none was red."""


@dataclass(frozen=True)
class Looked:
    """How the monitoring of one deployment stood that was accepted at ``since``."""

    since: datetime
    standing: Standing


@dataclass(frozen=True)
class Stay:
    """A time in which one release served: until another took its place (``ended``, None: it serves still). ``looked``
    has one for each deployment of it, oldest first; it began with the first."""

    version: str
    digest: str
    ended: datetime | None
    looked: tuple[Looked, ...]


@dataclass(frozen=True)
class History:
    """What an environment's records say: every stay that began with a deployment, oldest first, and why a release was
    rolled back there, if it was and nobody has kept it since."""

    environment: str
    stays: tuple[Stay, ...]
    rolled_back: str = ""


@dataclass(frozen=True)
class Soaked:
    """How a soak stands: one line on it, ``fault`` when it does not do, and when it may (None: not by waiting)."""

    detail: str
    fault: str = ""
    enough_at: datetime | None = None


def judge(digest: str, history: History, hours: float, now: datetime) -> Soaked:
    """Whether the release with this digest has soaked for ``hours`` at ``now``."""
    where = history.environment
    if history.rolled_back:
        return Soaked("rolled back", f"it was rolled back on {where}: {history.rolled_back}")
    stays = [item for item in reversed(history.stays) if item.digest == digest]
    if not stays:
        return Soaked("never released", _never(history))
    faults: list[Soaked] = []
    for stay in stays:
        red = next((item.standing.not_green for item in stay.looked if item.standing.red is not None), "")
        if red:  # what was green before does not count any more
            faults.append(Soaked("not green", f"its monitoring on {where} did not stay green: {red}"))
            break
        for number in range(len(stay.looked)):  # deployed again while it served, it may count from there alone
            found = _since(stay, number, where, hours, now)
            if not found.fault:
                return found
            faults.append(found)
    return faults[0]


def _since(stay: Stay, number: int, where: str, hours: float, now: datetime) -> Soaked:
    """How a soak stands that counts from one deployment of a stay on, without a red tick."""
    looked = stay.looked[number:]
    began = looked[0].since.astimezone(UTC)
    served = (stay.ended or now).astimezone(UTC) - began
    spent = f"{max(served, timedelta()).total_seconds() / 3600:.1f} h on {where} since {moment(began)}"
    if served < timedelta(hours=hours):
        enough = began + timedelta(hours=hours) if stay.ended is None else None
        then = f"long enough at {moment(enough)}" if enough else f"until {moment(stay.ended or now)}, and no more"
        return Soaked(f"{spent}, {hours:g} h wanted", f"it served {spent}, {hours:g} h are wanted: {then}", enough)
    not_green = looked[-1].standing.not_green or _thin([item.standing for item in looked])
    if not_green:
        return Soaked(f"{spent}, not green", f"its monitoring on {where} did not stay green: {not_green}")
    return Soaked(f"{spent}, green: {looked[-1].standing}")


def _thin(standings: list[Standing]) -> str:
    """Why too few of the ticks that were due ran and said GO; empty when they are enough."""
    missed = sum(len(item.missed) for item in standings)
    said = [{tick.slot: tick.decision for tick in item.ticks} for item in standings]  # of a slot, the last one
    ran = sum(len(item) for item in said)
    green = sum(decision is Decision.GO for item in said for decision in item.values())
    if green >= GREEN * (ran + missed):
        return ""
    return (
        f"{green} of the {ran + missed} ticks that were due were green, {GREEN:.0%} are wanted: {missed} were missed, "
        f"{ran - green} inconclusive"
    )


def _never(history: History) -> str:
    last = history.stays[-1] if history.stays else None
    if last is None:
        return f"nothing was ever released on {history.environment}, by the records that can be read here"
    shown = f"{last.version} ({last.digest[:19]})"
    return f"this digest was never released on {history.environment}; the last there is {shown}"
