"""The command ``status``: what runs, what serves and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from gate import engines
from gate.approval import outstanding
from gate.config import Environment
from gate.deployment import holding
from gate.engines.base import Engine, Instance, ServiceState, name_of
from gate.errors import OperationFailed
from gate.monitoring import standings
from gate.monitoring.standings import Monitored
from gate.records import lock
from gate.records.store import Deployment, Store
from gate.rollback import mending
from gate.terminal.terminal import Terminal
from gate.watching import serving
from gate.watching.serving import Serving

Document = dict[str, Any]


@dataclass(frozen=True)
class _Remembered:
    """What the records say; ``lost``: whose traffic was lost; ``mend``: what to do where they cannot be used."""

    last: Deployment | None = None
    unfinished: Deployment | None = None
    held: holding.Hold | None = None
    watched: Monitored | None = None
    lost: Deployment | None = None
    mend: str = ""


class Status:
    """Looks at one environment and its records; a part that cannot be told hides none of the rest."""

    def __init__(self, environment: Environment, terminal: Terminal) -> None:
        self._environment = environment
        self._terminal = terminal

    def status(self) -> Document:
        """What runs here, what serves, who holds the lock, how the last deployment ended.

        Told as far as it is known: neither damaged records nor damaged facts of an instance hide the rest.
        """
        from gate.stack import Stack

        engine = engines.create(self._environment)
        faults: list[str] = []
        serves = serving.look(engine)
        if serves.unknown:
            faults.append(f"what serves cannot be told: {serves.fault}")
        parts = Stack(self._environment).status()
        instances = self._instances(engine, serves.instance, faults)
        told = self._remembered(engine, serves, faults)
        holder = self._holder(faults)
        unwatched = told.held is not None and not holder and not holding.keeper(self._environment).alive()
        if unwatched:
            faults.append("nobody watches what is held, and nobody will roll it back: the process that did is gone")
        table = Table(box=None, pad_edge=False)
        for column in ("what", "state", "detail"):
            table.add_column(column)
        for part in parts:
            table.add_row(part.name, "runs" if part.alive else "down", f"{part.version}  {part.detail}")
        for item in instances:
            state = "serves" if item["stable"] else "runs, no traffic"
            table.add_row(name_of(f"{item['version']} ({item['id']})", item["server"]), state, item["health"])
        if not instances:
            table.add_row("release", "none runs", "")
        self._terminal.table(table)
        if serves.instance is not None and not serves.runs:
            self._terminal.say(f"traffic          {serves}")
        if told.last is not None:
            last = told.last
            ended = f"{last.outcome}" if last.outcome else ("running" if holder else "died unfinished: recover")
            self._terminal.say(f"last deployment  {last.id}  {last.version}  {ended}  {last.started_at}  by {last.by}")
        self._terminal.say(f"lock             {holder or 'free'}")
        for fault in faults:
            self._terminal.say(f"fault            {fault}")
        states = [item["healthy"] for item in instances if item["stable"]]
        healthy = serves.runs and bool(states) and all(states)
        up = all(part.alive for part in parts)
        if told.held is not None and not unwatched:
            self._terminal.say(f"held             {told.held.told(self._environment)}")
        if told.watched is not None:
            self._terminal.say(f"monitoring       {told.watched}")
        owes = self._owed(serves, faults)
        beside = engine.owns and serves.instance is not None and any(not item["stable"] for item in instances)
        next_step = self._next(
            told,
            up=up,
            healthy=healthy,
            empty=serves.instance is None and not faults,
            idle=beside and not holder,
            held_by=holder,
        )
        if next_step:
            self._terminal.say(f"next             {next_step}")
        stable = serves.document()
        return {
            "environment": self._environment.name,
            "stack": [{"name": p.name, "alive": p.alive, "version": p.version, "detail": p.detail} for p in parts],
            "instances": instances,
            "stable": {**stable, "instance": serves.instance.id} if stable and serves.instance else None,
            "lock": holder,
            "unfinished": told.unfinished.id if told.unfinished and not holder else None,
            "held": told.held.deployment.id if told.held else None,
            "monitoring": standings.document(told.watched.standing) if told.watched else None,
            "last": row_of(told.last) if told.last else None,
            "debts": owes.debts,
            "checklist": owes.checklist,
            "faults": faults,
            "next": next_step,
        }

    def _next(self, told: _Remembered, *, up: bool, healthy: bool, empty: bool, idle: bool, held_by: str | None) -> str:
        """The command to type next; empty when all is well."""
        door = f"python deploy_gate.py {self._environment.name}"
        if told.mend:
            return told.mend
        if told.held is not None:
            return f"{door} keep   or   {door} rollback   ({door} up watches it again)"
        if told.unfinished is not None and not held_by:
            return f"{door} recover"
        if told.lost is not None:
            return f"{door} up   gives {told.lost.version} the traffic again: it was kept last"
        if up and empty:
            return f"{door} --version V   deploys the first release"
        rest = f"{door} recover   stops what runs without traffic" if idle else ""
        return rest if up and healthy else f"{door} up"

    def _owed(self, serves: Serving, faults: list[str]) -> outstanding.Owed:
        """Tells what people still have to sign and to tick; what cannot be told of it is a fault."""
        digest = serves.instance.digest if serves.instance is not None else None
        try:
            found = outstanding.look(self._environment, Store.of(self._environment), digest, datetime.now(UTC))
        except OperationFailed as fault:
            if str(fault) not in faults:
                faults.append(str(fault))
            return outstanding.Owed()
        for line in found.lines:
            self._terminal.say(line)
        return found

    def _instances(self, engine: Engine, stable: Instance | None, faults: list[str]) -> list[Document]:
        """What runs; where there are several servers, on each that answers."""
        found: list[Document] = []
        for server, one in (engines.each(self._environment) or {"": engine}).items():
            try:
                serves = one.stable() if server else stable
                found += [self._instance(one, item, serves, server) for item in one.instances()]
            except OperationFailed as fault:
                told = f"{server}: {fault}" if server else str(fault)
                if not any(told in known for known in faults):
                    faults.append(told)
        return found

    def _remembered(self, engine: Engine, serves: Serving, faults: list[str]) -> _Remembered:
        try:
            store = Store.of(self._environment)
            lost = mending.lost(engine, store) if serves.instance is None and not serves.unknown else None
            last = next(iter(store.deployments(1)), None)
            watched = standings.now(self._environment, store, datetime.now(UTC)) if self._monitors else None
            return _Remembered(last, store.unfinished(), holding.find(store), watched, lost)
        except OperationFailed as fault:
            faults.append(str(fault))
            return _Remembered(mend=fault.next_step or "")

    @property
    def _monitors(self) -> bool:
        return bool(self._environment.monitoring.phases)

    def _holder(self, faults: list[str]) -> str | None:
        try:
            return lock.Lock(self._environment).holder()
        except OperationFailed as fault:
            faults.append(f"who holds the lock cannot be told: {fault}")
            return None

    def _usable_store(self) -> Store | None:
        """None where the records cannot be used: ``status`` says so, and the servers start without them."""
        try:
            store = Store.of(self._environment)
            store.deployments(1)
        except OperationFailed:
            return None
        return store

    def _instance(self, engine: Engine, instance: Instance, stable: Instance | None, server: str) -> Document:
        states = engine.health(instance)
        told = ", ".join(f"{state.name} {_health(state)}" for state in states)
        return {
            "id": instance.id,
            "server": server,
            "version": instance.version,
            "digest": instance.digest,
            "stable": stable is not None and stable.id == instance.id,
            "health": told,
            "healthy": all(state.healthy for state in states),
        }


def _health(state: ServiceState) -> str:
    if state.healthy:
        return f"healthy ({state.detail})" if state.detail else "healthy"
    return state.detail or "not healthy"


def row_of(item: Deployment) -> Document:
    return {
        "deployment": item.id,
        "action": item.action,
        "version": item.version,
        "digest": item.digest,
        "from": item.stable_version,
        "outcome": str(item.outcome) if item.outcome else None,
        "started_at": item.started_at,
        "ended_at": item.ended_at,
        "by": item.by,
        "reasons": item.reasons,
        "report": item.report,
    }
