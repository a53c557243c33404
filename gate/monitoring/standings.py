"""What is monitored in an environment, and how that stands: the records in, words and documents out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gate.config import Environment
from gate.monitoring import ticks
from gate.monitoring.phases import Standing, Tick, moment, offsets, standing
from gate.records.store import Deployment, Store
from gate.results import Outcome
from gate.rollback import served

_SHOWN = 5


@dataclass(frozen=True)
class Monitored:
    """A release that is, or was, monitored: the deployment that made it serve, since when, and how that stands."""

    deployment: Deployment
    released_at: datetime
    standing: Standing

    def __str__(self) -> str:
        found = self.standing
        ends = f"; next at {moment(found.next_at)}" if found.next_at is not None else ""
        doubt = f"; not green: {found.not_green}" if found.not_green and found.ticks else ""
        return f"{self.deployment.version} (deployment {self.deployment.id}): {found}{ends}{doubt}"


def now(environment: Environment, store: Store, at: datetime) -> Monitored | None:
    """What is monitored at a moment; None where nothing was ever kept here. Raises OperationFailed."""
    last = served.last(store)
    return None if last is None else of(environment, store, last, at)


def of(
    environment: Environment, store: Store, deployment: Deployment, at: datetime, until: datetime | None = None
) -> Monitored:
    """How the monitoring of a deployment that was kept stands; ``until``: when another took its place.

    Raises OperationFailed.
    """
    released = released_at(deployment)
    found = standing(environment.monitoring.phases, released, ticks.of(store, deployment.id), at, until=until)
    return Monitored(deployment, released, found)


def past(environment: Environment, store: Store, deployment: Deployment, at: datetime) -> Monitored | None:
    """How the monitoring of any deployment stands, or stood when another took its place; None where there is none.

    Raises OperationFailed.
    """
    kept = [item for item in reversed(store.deployments()) if served.took_over(store, item)]
    if not environment.monitoring.phases or deployment not in kept:
        return None
    later = kept[kept.index(deployment) + 1 :]
    return of(environment, store, deployment, at, released_at(later[0]) if later else None)


def released_at(deployment: Deployment) -> datetime:
    """When the release of a deployment was kept: when its run had ended."""
    return datetime.fromisoformat(deployment.ended_at or deployment.started_at)


def missed(environment: Environment, found: Monitored) -> str:
    """One line about the ticks that nobody ran since the last one; empty without any."""
    last = found.standing.ticks[-1].slot if found.standing.ticks else -1
    lately = [slot for slot in found.standing.missed if slot > last]
    if not lately:
        return ""
    plan = offsets(environment.monitoring.phases)
    times = ", ".join(moment(found.released_at + timedelta(seconds=plan[slot])) for slot in lately[:_SHOWN])
    more = f" and {len(lately) - _SHOWN} more" if len(lately) > _SHOWN else ""
    return f"missed {len(lately)} {'tick' if len(lately) == 1 else 'ticks'}: nobody looked at {times}{more}"


def line(tick: Tick) -> str:
    """One line about a tick."""
    told = f": {'; '.join(tick.reasons)}" if tick.reasons else ""
    acted = f" ({tick.acted})" if tick.acted else ""
    return f"{moment(tick.at)}  tick {tick.slot + 1}  {tick.decision}{told}{acted}"


def document(found: Standing) -> dict[str, Any]:
    """How the monitoring stands, for ``--json``; slots count from 1."""
    return {
        "standing": str(found),
        "green": not found.not_green,
        "not_green": found.not_green,
        "planned": found.planned,
        "missed": [slot + 1 for slot in found.missed],
        "next_at": found.next_at.isoformat() if found.next_at is not None else None,
        "ticks": [row(item) for item in found.ticks],
    }


def with_tick(found: Monitored, made: Tick | None) -> dict[str, Any]:
    """The same, with the tick that was made just now, if one was."""
    return {**document(found.standing), "tick": row(made) if made is not None else None}


def answer(
    environment: Environment, outcome: Outcome | None, found: Monitored | None, made: Tick | None, stable: Any
) -> dict[str, Any]:
    """What ``monitor --json`` prints, without its reasons: ``outcome`` is None where all is well, ``stable`` what
    serves, where that was asked."""
    deployment = found.deployment if found is not None else None
    return {
        "outcome": str(outcome) if outcome is not None else "DONE",
        "exit_code": outcome.exit_code if outcome is not None else 0,
        "environment": environment.name,
        "deployment": deployment.id if deployment else None,
        "release": {"version": deployment.version, "digest": deployment.digest} if deployment else None,
        "stable": stable,
        "reasons": [],
        "report": deployment.report if deployment else None,
        "next": "",
        "monitoring": with_tick(found, made) if found is not None else None,
    }


def reason(text: str) -> dict[str, Any]:
    """A reason of such a document."""
    return {"signal": "monitoring", "value": None, "limit": "", "n": None, "text": text}


def row(tick: Tick) -> dict[str, Any]:
    """A tick, for ``--json``."""
    return {
        "slot": tick.slot + 1,
        "at": tick.at.isoformat(),
        "seconds": tick.seconds,
        "decision": str(tick.decision),
        "reasons": list(tick.reasons),
        "notes": list(tick.notes),
        "acted": tick.acted,
    }
