"""Commands that look, and the two that start and stop an environment's own servers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from gate import engines
from gate.approval import outstanding
from gate.approval.book import Book
from gate.config import Environment
from gate.deployment import holding
from gate.engines.base import Engine, Instance, ServiceState
from gate.errors import Locked, OperationFailed, UsageError
from gate.evidence import courses
from gate.judging import dora, gaps
from gate.monitoring import standings
from gate.monitoring.standings import Monitored
from gate.records import lock
from gate.records.ledger import Ledger
from gate.records.store import Deployment, Store
from gate.releases import faults as faults_of
from gate.releases import source
from gate.rollback import mending, served
from gate.terminal.terminal import Terminal
from gate.watching import serving
from gate.watching.serving import Serving

if TYPE_CHECKING:
    from gate.database.manifest import Backup

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


class Inspection:
    """What ``status``, ``history``, ``releases``, ``up`` and ``down`` do; each returns its JSON document."""

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
            table.add_row(f"{item['version']} ({item['id']})", state, item["health"])
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
        healthy = serves.runs and any(item["stable"] and item["healthy"] for item in instances)
        up = all(part.alive for part in parts)
        if told.held is not None and not unwatched:
            self._terminal.say(f"held             {told.held.told(self._environment)}")
        if told.watched is not None:
            self._terminal.say(f"monitoring       {told.watched}")
        owes = self._owed(serves, faults)
        next_step = self._next(
            told, up=up, healthy=healthy, empty=serves.instance is None and not faults, held_by=holder
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
            "last": _row(told.last) if told.last else None,
            "debts": owes.debts,
            "checklist": owes.checklist,
            "faults": faults,
            "next": next_step,
        }

    def _next(self, told: _Remembered, *, up: bool, healthy: bool, empty: bool, held_by: str | None) -> str:
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
        return "" if up and healthy else f"{door} up"

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
        try:
            return [self._instance(engine, item, stable) for item in engine.instances()]
        except OperationFailed as fault:
            if not any(str(fault) in known for known in faults):
                faults.append(str(fault))
            return []

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

    def history(self, deployment: int | None) -> Document:
        """All deployments, newest first; or one whole, with its reasons and its journal."""
        store = Store.of(self._environment)
        rows = store.deployments()
        if deployment is None:
            table = Table(box=None, pad_edge=False)
            for column in ("id", "action", "from", "to", "outcome", "started", "by", "report"):
                table.add_column(column)
            forced = {debt.deployment: debt.reason for debt in Book(store).debts()}
            for item in rows:
                told = str(item.outcome or "unfinished") + (", emergency" if item.id in forced else "")
                origin = item.stable_version or "nothing"
                started = item.started_at[:19].replace("T", " ")
                table.add_row(
                    str(item.id), item.action, origin, item.version, told, started, item.by, item.report or ""
                )
            self._terminal.table(table)
            figures = self._measures(store)
            serves = served.last(store)
            owes = outstanding.look(self._environment, store, serves.digest if serves else None, datetime.now(UTC))
            for line in owes.lines:
                self._terminal.say(line)
            rest = {"debts": owes.debts, "checklist": owes.checklist, **figures}
            return {
                "environment": self._environment.name,
                "deployments": [_row(item) | {"emergency": forced.get(item.id, "")} for item in rows],
                **rest,
            }
        found = next((item for item in rows if item.id == deployment), None)
        if found is None:
            raise UsageError(f"no deployment {deployment} here", next_step="leave the number away to see all")
        self._terminal.say(
            f"deployment {found.id}  {found.action} {found.stable_version or 'nothing'} → {found.version}  "
            f"{found.outcome or 'unfinished'}  by {found.by}"
        )
        for text in found.reasons:
            self._terminal.say(f"  why     {text}")
        owes = outstanding.of_deployment(self._environment, store, found, datetime.now(UTC))
        for line in owes.lines:
            self._terminal.say(line)
        events = store.events(found.id)
        for event in events:
            self._terminal.say(f"  {event.at[11:23]}  {event.step:<24}{event.kind}")
        watched = standings.past(self._environment, store, found, datetime.now(UTC))
        for tick in watched.standing.ticks if watched is not None else ():
            self._terminal.say(f"  {standings.line(tick)}")
        if watched is not None:
            self._terminal.say(f"  monitoring  {watched}")
        if found.report:
            self._terminal.say(f"  report  {found.report}")
        journal = [{"at": event.at, "step": event.step, "kind": event.kind} for event in events]
        stands = standings.document(watched.standing) if watched is not None else None
        checklist = owes.checklist if owes.recorded else None
        words = {"signoffs": owes.signoffs, "checklist": checklist, "debts": owes.debts}
        return {**_row(found), **words, "journal": journal, "monitoring": stands}

    def _measures(self, store: Store) -> Document:
        """What deployments here are like, and what the team says they were before."""
        from gate.report import index

        found = dora.measures(courses.read(store), datetime.now(UTC))
        self._terminal.say("")
        for item in found:
            told = f"{index.value(item):<12}n = {item.n}" if item.value is not None else f"– {item.missing}"
            self._terminal.say(f"{item.title:<30}{told}")
        before = self._environment.baseline.model_dump(exclude_none=True)
        return {
            "measures": {item.name: {**vars(item), "window_days": dora.WINDOW.days} for item in found},
            "baseline": before,
            "gaps": {str(name): vars(many) for name, many in gaps.tally(Ledger(store).gaps()).items()},
        }

    def replay(self, deployment: int, rules_file: Path | None) -> Document:
        """Judges a past deployment again, by the environment's rules or those of a file."""
        from gate.evidence import replay

        rules = replay.rules_of(rules_file) if rules_file is not None else self._environment.all_rules
        found = next((item for item in Store.of(self._environment).deployments() if item.id == deployment), None)
        if found is None or found.report is None:
            raise UsageError(
                f"no deployment {deployment} with a report here",
                next_step=f"python deploy_gate.py {self._environment.name} history",
            )
        record = replay.read((self._environment.root / found.report).with_name("decision.json"))
        phases = replay.replay(record, rules)
        say = self._terminal.say
        say(f"deployment {found.id}  {found.version}  {found.outcome}, judged by {rules_file or 'the rules of today'}")
        for phase in phases:
            when = f" after {phase.at:.1f} s" if phase.at is not None else ""
            say(f"  {phase.name:<14}was {phase.was or 'undecided'}, now {phase.now or 'undecided'}{when}")
            for item in phase.reasons[:3]:
                say(f"                {item.text}")
        return {
            "deployment": found.id,
            "release": {"version": found.version, "digest": found.digest},
            "phases": [
                {
                    "phase": phase.name,
                    "was": str(phase.was) if phase.was else None,
                    "now": str(phase.now) if phase.now else None,
                    "at": phase.at,
                    "reasons": [{"signal": one.signal, "value": one.value, "text": one.text} for one in phase.reasons],
                }
                for phase in phases
            ],
        }

    def releases(self) -> Document:
        """Releases that can be deployed, and which of them serves."""
        place = source(self._environment)
        stable = engines.create(self._environment).stable()
        rows: list[dict[str, Any]] = []
        for version in place.versions():
            release = place.get(version)
            found = faults_of(release.folder)
            rows.append(
                {
                    "version": version,
                    "digest": release.digest,
                    "commit": release.commit,
                    "serves": stable is not None and stable.digest == release.digest,
                    "faults": found,
                }
            )
        table = Table(box=None, pad_edge=False)
        for column in ("version", "digest", "state"):
            table.add_column(column)
        for row in rows:
            state = "serves" if row["serves"] else f"unusable: {row['faults'][0]}" if row["faults"] else ""
            table.add_row(row["version"], str(row["digest"])[:19], state)
        self._terminal.table(table)
        if self._environment.releases.build is not None:
            self._terminal.say("Others are built when they are first asked for.")
        return {"environment": self._environment.name, "releases": rows}

    def backups(self) -> Document:
        """Backups that can be restored, newest first."""
        from gate.database import backup, restoring
        from gate.database.dump import size

        found = backup.available(restoring.folder_of(self._environment))
        table = Table(box=None, pad_edge=False)
        for column in ("backup", "age", "size", "schema", "rows", ""):
            table.add_column(column)
        rows = []
        for made in found:
            held = sum(item.rows for item in made.tables.values())
            table.add_row(
                made.id, restoring.age(made), size(made.bytes), made.schema_head or "", str(held), _doubt(made)
            )
            rows.append(
                {
                    "id": made.id,
                    "taken_at": made.taken_at.isoformat(),
                    "bytes": made.bytes,
                    "schema_head": made.schema_head,
                    "rows": held,
                    "verified_at": made.verified_at or None,
                    "file": str(made.file),
                }
            )
        if found:
            self._terminal.table(table)
        else:
            self._terminal.say("No backup yet: every deployment makes one.")
        return {"environment": self._environment.name, "backups": rows}

    def up(self) -> Document:
        """Starts the environment's own servers, and the release that served last if it does not run any more.

        What an instance is, and that it has the traffic, is put right from the records where it was lost.
        """
        from gate.stack import Stack

        with lock.Lock(self._environment).held("starting the servers", alone=True):
            store, stack = self._usable_store(), Stack(self._environment)
            stack.open()
            if store is not None:
                mending.rebuild(self._environment, store, self._terminal.say)
            stack.up(self._terminal.say)
            engine = engines.create(self._environment)
            stable = engine.stable()
            if stable is not None and any(
                not (item.alive if engine.beside else item.healthy) for item in engine.health(stable)
            ):
                self._terminal.say(f"{stable.version} ({stable.id}) served last and has ended: starting it again")
                mending.start(self._environment, engine, stable)
            elif store is not None:
                mending.lead_back(self._environment, store, self._terminal.say)
            self._watch_again(store)
            if store is not None and store.unfinished() is None:
                engine.settle()
        return self.status()

    def lock(self) -> Document:
        """Who holds the lock."""
        holder = lock.Lock(self._environment).holder()
        self._terminal.say(f"held by {holder}" if holder else "nobody holds it")
        return {"environment": self._environment.name, "lock": holder}

    def unlock(self) -> Document:
        """Frees the lock from a holder that is provably gone. Raises Locked where it is not."""
        told = lock.Lock(self._environment).free()
        self._terminal.say(told)
        return {"environment": self._environment.name, "unlocked": told}

    def _holder(self, faults: list[str]) -> str | None:
        try:
            return lock.Lock(self._environment).holder()
        except OperationFailed as fault:
            faults.append(f"who holds the lock cannot be told: {fault}")
            return None

    def _watch_again(self, store: Store | None) -> None:
        """Somebody must watch what is held; whoever did may have been killed, or the machine started anew."""
        held = holding.find(store) if store is not None else None
        if held is not None and not holding.keeper(self._environment).held():
            holding.start_keeper(self._environment, held.deployment.id)
            self._terminal.say(f"{held.told(self._environment)}: watched again")

    def _usable_store(self) -> Store | None:
        """None where the records cannot be used: ``status`` says so, and the servers start without them."""
        try:
            store = Store.of(self._environment)
            store.deployments(1)
        except OperationFailed:
            return None
        return store

    def down(self) -> Document:
        """Stops the releases and the environment's own servers; data stays."""
        from gate.stack import Stack

        with lock.Lock(self._environment).held("stopping the servers", alone=True):
            self._refuse_held()
            engine = engines.create(self._environment)
            if not engine.owns:
                self._terminal.say("what runs the team's own tools have started: it is left as it is")
            for instance in engine.instances() if engine.owns else []:
                self._terminal.say(f"stopping {instance.version} ({instance.id})")
                engine.stop(instance)
            Stack(self._environment).down(self._terminal.say)
        return {"environment": self._environment.name, "down": True}

    def _refuse_held(self) -> None:
        """Somebody watches what is held, and would roll it back on servers that are gone."""
        store = self._usable_store()
        held = holding.find(store) if store is not None else None
        if held is not None:
            door = f"python deploy_gate.py {self._environment.name}"
            raise Locked(held.told(self._environment), next_step=f"{door} keep   or   {door} rollback")

    def _instance(self, engine: Engine, instance: Instance, stable: Instance | None) -> Document:
        states = engine.health(instance)
        told = ", ".join(f"{state.service} {_health(state)}" for state in states)
        return {
            "id": instance.id,
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


def _doubt(made: Backup) -> str:
    return "" if made.verified_at else "never proven"


def _row(item: Deployment) -> Document:
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
