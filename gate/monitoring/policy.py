"""What is done about a tick that is not green: rolled back while the release is young, later only told."""

from __future__ import annotations

from gate.config import Environment
from gate.monitoring.phases import Tick, offsets
from gate.monitoring.standings import Monitored
from gate.results import Decision


def may_not_roll_back(environment: Environment, found: Monitored, made: Tick) -> str:
    """Why a red tick only alerts; empty: it rolls back, or is not red."""
    if made.decision is not Decision.ROLLBACK:
        return ""
    limit = environment.monitoring.rollback_in
    since = age(environment, found, made)
    planned = _planned(environment, made.slot)
    step = planned - _planned(environment, made.slot - 1)
    if found.deployment.action != "deploy":
        return f"{found.deployment.version} came by a rollback, and nobody rolls back a rollback"
    # What was due at the limit is called a little after it.
    if since > (limit + step if planned <= limit else limit):
        return f"it is {_told(since)} after the release, and [monitoring] rollback_in is {_told(limit)}"
    return ""


def age(environment: Environment, found: Monitored, made: Tick) -> float:
    """Seconds since the release; by the plan where the clock was set back."""
    return max((made.at - found.released_at).total_seconds(), _planned(environment, made.slot))


def title(environment: Environment, found: Monitored, made: Tick) -> str:
    """What is wrong, in one sentence."""
    word = "is bad" if made.decision is Decision.ROLLBACK else "may be bad: the look at it is inconclusive"
    return f"{found.deployment.version} {word}, {_told(age(environment, found, made))} after its release"


def _planned(environment: Environment, slot: int) -> float:
    """Seconds after the release at which a slot is due; 0 for what the plan, shortened since, has no more."""
    plan = offsets(environment.monitoring.phases)
    return plan[slot] if 0 <= slot < len(plan) else 0.0


def _told(seconds: float) -> str:
    """A time that people plan in: ``45 min``, ``3.0 h``, ``2.1 d``."""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"
