"""Reads what the records of another environment of the project say of a release; changes nothing there.

Of that environment's file only what says where the records are and how it is monitored is read: its secrets need not be
known here, but for the URL of shared records.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from gate import environments
from gate.conditions.soak import History, Looked, Stay
from gate.config.keeping import State
from gate.config.monitoring import Monitoring
from gate.errors import OperationFailed
from gate.monitoring import ticks
from gate.monitoring.phases import standing
from gate.monitoring.standings import released_at
from gate.records import place_at
from gate.records.store import Store
from gate.rollback import served


def history(name: str, root: Path, digest: str, now: datetime) -> History:
    """What the environment ``name`` knows of the release with this digest.

    Raises ConfigError where its file is faulty, OperationFailed where its records are not here or cannot be read.
    """
    app, state, monitoring = environments.records_of(name, root)
    store = _opened(name, root, app, state)
    failed = served.failed(store, digest)
    why = f"{failed.reasons[0]} (deployment {failed.id})" if failed and failed.reasons else ""
    rolled_back = why or (f"deployment {failed.id}" if failed else "")
    return History(name, tuple(stays(store, monitoring, now)), rolled_back)


def stays(store: Store, monitoring: Monitoring, now: datetime) -> list[Stay]:
    """Every time in which a release served that began with its deployment, oldest first; deployed again while it
    served, it is one stay. What came by a rollback serves, and has no stay until it is deployed again. Raises
    OperationFailed."""
    kept = [item for item in reversed(store.deployments()) if served.took_over(store, item)]
    found: list[Stay] = []
    looked: list[Looked] = []
    for number, item in enumerate(kept):
        later = kept[number + 1] if number + 1 < len(kept) else None
        until = released_at(later) if later is not None else None
        if looked or item.action == "deploy":
            since = released_at(item)
            stands = standing(monitoring.phases, since, ticks.of(store, item.id), now, until=until)
            looked.append(Looked(since, stands))
        if later is not None and later.digest == item.digest:
            continue
        if looked:
            found.append(Stay(item.version, item.digest, until, tuple(looked)))
        looked = []
    return found


def _opened(name: str, root: Path, app: str, state: State) -> Store:
    """Its records, which must be there: to look must not make them."""
    folder = root / state.folder / name
    if state.url is None and not (folder / "gate.db").is_file():
        raise OperationFailed(
            f"no records of {name} are here ({folder / 'gate.db'}), so nobody can tell how long a release served there",
            next_step=f"deploy to {name} from this machine, or let both keep their records in one [state] url",
        )
    return Store(place_at(app, name, folder, state.url))
