"""What deployments are like: the measures of DORA, and those a team's baseline names. Pure.

Every measure says from how many deployments it was made; from too few it is none, and says so. The formulas and where
they come from stand in docs/evidence.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from gate.results import Outcome

WINDOW = timedelta(days=90)
LEAST = 5
"""Deployments below which nothing is said."""
LEAST_FAILURES = 3
"""Failures below which nothing is said of them: they are rarer."""
_LEAST_SPAN = timedelta(days=7)
_TAKEN_BACK = (Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED)
_CONCLUDED = (Outcome.RELEASED, *_TAKEN_BACK)


@dataclass(frozen=True)
class Course:
    """How one run went: when its commit was made, users first reached its release, it was decided to take that back,
    no user reached it any more, and it was accepted. ``undid``: the deployment that a person's rollback took back."""

    id: int
    action: str
    outcome: Outcome | None
    started: datetime
    ended: datetime | None = None
    committed: datetime | None = None
    reached: datetime | None = None
    decided: datetime | None = None
    freed: datetime | None = None
    accepted: datetime | None = None
    undid: int | None = None


@dataclass(frozen=True)
class Measure:
    """One figure: ``unit`` is share, seconds or per week; ``value`` None: it cannot be said, and ``missing`` why."""

    name: str
    title: str
    unit: str
    value: float | None
    n: int
    formula: str
    missing: str = ""


def measures(courses: Sequence[Course], now: datetime) -> tuple[Measure, ...]:
    """Every measure over the runs that began in the 90 days before ``now``."""
    window = [item for item in courses if now - WINDOW <= item.started <= now]
    deployed = [item for item in window if item.action == "deploy"]
    released = [item for item in deployed if item.outcome is Outcome.RELEASED]
    concluded = [item for item in deployed if item.outcome in _CONCLUDED]
    by_person = {
        item.undid: item
        for item in reversed(window)  # the first that took it back
        if item.action == "rollback" and item.outcome is Outcome.ROLLED_BACK and item.undid is not None
    }
    reached = [item for item in concluded if item.reached is not None]
    failed = [item for item in reached if item.outcome in _TAKEN_BACK or item.id in by_person]
    detected = [_since(item.reached, _noticed(item, by_person.get(item.id))) for item in failed]
    restored = [_restored(item, by_person.get(item.id)) for item in failed]
    back = [_since(item.decided, item.ended) for item in deployed if item.outcome is Outcome.ROLLED_BACK]
    back += [_since(item.started, item.ended) for item in by_person.values()]
    return (
        _frequency(released, deployed, now),
        _middle(
            "lead_time",
            "Lead time, commit to released",
            [_since(item.committed, item.accepted) for item in released],
            "median of (accepted − commit), where the commit's time is known",
        ),
        _share(
            "change_failure_rate",
            "Change failure rate",
            len(failed),
            len(reached),
            "taken back after users had reached them / all that users reached",
        ),
        _middle(
            "time_to_restore",
            "Time to restore",
            restored,
            "median of (no user on it any more − first user on it); of a later rollback: its own time",
            least=LEAST_FAILURES,
        ),
        _middle(
            "detection_time",
            "Detection time",
            detected,
            "median of (decision to take back − first user on it)",
            least=LEAST_FAILURES,
        ),
        _share(
            "success_rate",
            "Deployments that succeed",
            len([item for item in released if item.id not in by_person]),
            len(concluded),
            "released and not taken back later / (released + taken back); what was refused touched nothing and is not "
            "counted",
        ),
        _middle(
            "deployment_time",
            "Time of a deployment",
            [_since(item.started, item.ended) for item in released],
            "median of (end − start) of what was released",
        ),
        _middle(
            "rollback_time",
            "Time of a rollback",
            back,
            "median of (end − decision), or of a person's rollback (end − start)",
            least=LEAST_FAILURES,
        ),
    )


def _frequency(released: Sequence[Course], deployed: Sequence[Course], now: datetime) -> Measure:
    """Releases a week, since the first deployment in the window."""
    name, title, unit = "deployment_frequency", "Deployments a week", "per week"
    formula = "released / weeks since the first deployment in the window"
    first = min((item.started for item in deployed), default=now)
    if len(released) < LEAST:
        return Measure(name, title, unit, None, len(released), formula, _few(len(released), LEAST))
    if now - first < _LEAST_SPAN:
        return Measure(name, title, unit, None, len(released), formula, "less than a week of deployments")
    return Measure(name, title, unit, len(released) / ((now - first) / timedelta(weeks=1)), len(released), formula)


def _share(name: str, title: str, part: int, whole: int, formula: str) -> Measure:
    if whole < LEAST:
        return Measure(name, title, "share", None, whole, formula, _few(whole, LEAST))
    return Measure(name, title, "share", part / whole, whole, formula)


def _middle(name: str, title: str, values: Sequence[float | None], formula: str, least: int = LEAST) -> Measure:
    known = [value for value in values if value is not None]
    if len(known) < least:
        return Measure(name, title, "seconds", None, len(known), formula, _few(len(known), least))
    return Measure(name, title, "seconds", median(known), len(known), formula)


def _few(many: int, least: int) -> str:
    return f"too few: {many} of at least {least}"


def _since(begin: datetime | None, end: datetime | None) -> float | None:
    """Seconds between two moments; None where one is not known, or a clock went back between them."""
    if begin is None or end is None or end < begin:
        return None
    return (end - begin).total_seconds()


def _noticed(failed: Course, rollback: Course | None) -> datetime | None:
    return rollback.started if rollback is not None else failed.decided


def _restored(failed: Course, rollback: Course | None) -> float | None:
    if rollback is not None:  # when it began to hurt only users know
        return _since(rollback.started, rollback.ended)
    return _since(failed.reached, failed.freed)
