"""Whether a release has soaked elsewhere: released there, served long enough, its monitoring stayed green. Pure.

It is the same release only by its digest. Time counts while it served there, also where another that was accepted has
taken its place since; one that was rolled back from has not soaked, however long it took until somebody noticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gate.phases import Standing, moment


@dataclass(frozen=True)
class Stay:
    """A time in which one release served: since ``began``, until another took its place (``ended``, None: it serves
    still). ``standings`` is how its monitoring stood, one for each deployment of it."""

    version: str
    digest: str
    began: datetime
    ended: datetime | None
    standings: tuple[Standing, ...]


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
    stay = next((item for item in reversed(history.stays) if item.digest == digest), None)
    if stay is None:
        return Soaked("never released", _never(history))
    served = (stay.ended or now).astimezone(UTC) - stay.began.astimezone(UTC)
    spent = f"{max(served, timedelta()).total_seconds() / 3600:.1f} h on {where} since {moment(stay.began)}"
    if served < timedelta(hours=hours):
        enough = stay.began.astimezone(UTC) + timedelta(hours=hours) if stay.ended is None else None
        then = f"long enough at {moment(enough)}" if enough else f"until {moment(stay.ended or now)}, and no more"
        return Soaked(f"{spent}, {hours:g} h wanted", f"it served {spent}, {hours:g} h are wanted: {then}", enough)
    red = next((standing.not_green for standing in stay.standings if standing.red is not None), "")
    not_green = red or (stay.standings[-1].not_green if stay.standings else "nobody monitored it")
    if not_green:
        return Soaked(f"{spent}, not green", f"its monitoring on {where} did not stay green: {not_green}")
    return Soaked(f"{spent}, green: {stay.standings[-1]}")


def _never(history: History) -> str:
    last = history.stays[-1] if history.stays else None
    if last is None:
        return f"nothing was ever released on {history.environment}, by the records that can be read here"
    shown = f"{last.version} ({last.digest[:19]})"
    return f"this digest was never released on {history.environment}; the last there is {shown}"
