"""Commands that look, and the two that start and stop an environment's own servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from gate import engines, holding, lock
from gate.config import Environment
from gate.engines.base import Engine, Instance
from gate.errors import EngineError, UsageError
from gate.releases import Source, faults, read
from gate.shell import wait_until
from gate.store import Deployment, Store
from gate.terminal import Terminal

Document = dict[str, Any]


class Inspection:
    """What ``status``, ``history``, ``releases``, ``up`` and ``down`` do; each returns its JSON document."""

    def __init__(self, environment: Environment, terminal: Terminal) -> None:
        self._environment = environment
        self._terminal = terminal

    def status(self) -> Document:
        """What runs here, what serves, who holds the lock, how the last deployment ended."""
        from gate.stack import Stack

        engine = engines.create(self._environment)
        stable = engine.stable()
        parts = Stack(self._environment).status()
        instances = [self._instance(engine, item, stable) for item in engine.instances()]
        store = self._store()
        deployments = store.deployments(1)
        unfinished = store.unfinished()
        held = holding.find(store)
        holder = lock.holder(self._environment.state_folder / "lock")
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
        if deployments:
            last = deployments[0]
            told = f"{last.outcome}" if last.outcome else ("running" if holder else "died unfinished: recover")
            self._terminal.say(f"last deployment  {last.id}  {last.version}  {told}  {last.started_at}  by {last.by}")
        self._terminal.say(f"lock             {holder or 'free'}")
        serving = next((item for item in instances if item["stable"]), None)
        ailing = serving is None or not serving["healthy"] or not all(part.alive for part in parts)
        next_step = f"python deploy_gate.py {self._environment.name} up" if ailing else ""
        if stable is None and all(part.alive for part in parts):
            next_step = f"python deploy_gate.py {self._environment.name} --version V   deploys the first release"
        if held is not None:
            self._terminal.say(f"held             {held.told(self._environment)}")
            next_step = f"python deploy_gate.py {self._environment.name} keep   or   rollback"
        elif unfinished is not None and not holder:
            next_step = f"python deploy_gate.py {self._environment.name} recover"
        if next_step:
            self._terminal.say(f"next             {next_step}")
        return {
            "environment": self._environment.name,
            "stack": [{"name": p.name, "alive": p.alive, "version": p.version, "detail": p.detail} for p in parts],
            "instances": instances,
            "stable": {"version": stable.version, "digest": stable.digest, "instance": stable.id} if stable else None,
            "lock": holder,
            "unfinished": unfinished.id if unfinished and not holder else None,
            "held": held.deployment.id if held else None,
            "last": _row(deployments[0]) if deployments else None,
            "next": next_step,
        }

    def history(self, deployment: int | None) -> Document:
        """All deployments, newest first; or one whole, with its reasons and its journal."""
        store = self._store()
        rows = store.deployments()
        if deployment is None:
            table = Table(box=None, pad_edge=False)
            for column in ("id", "action", "from", "to", "outcome", "started", "by", "report"):
                table.add_column(column)
            for item in rows:
                told = str(item.outcome or "unfinished")
                origin = item.stable_version or "nothing"
                started = item.started_at[:19].replace("T", " ")
                table.add_row(
                    str(item.id), item.action, origin, item.version, told, started, item.by, item.report or ""
                )
            self._terminal.table(table)
            return {"environment": self._environment.name, "deployments": [_row(item) for item in rows]}
        found = next((item for item in rows if item.id == deployment), None)
        if found is None:
            raise UsageError(f"no deployment {deployment} here", next_step="leave the number away to see all")
        self._terminal.say(
            f"deployment {found.id}  {found.action} {found.stable_version or 'nothing'} → {found.version}  "
            f"{found.outcome or 'unfinished'}  by {found.by}"
        )
        for text in found.reasons:
            self._terminal.say(f"  why     {text}")
        events = store.events(found.id)
        for event in events:
            self._terminal.say(f"  {event.at[11:23]}  {event.step:<24}{event.kind}")
        if found.report:
            self._terminal.say(f"  report  {found.report}")
        journal = [{"at": event.at, "step": event.step, "kind": event.kind} for event in events]
        return {**_row(found), "journal": journal}

    def replay(self, deployment: int, rules_file: Path | None) -> Document:
        """Judges a past deployment again, by the environment's rules or those of a file."""
        from gate import replay

        rules = replay.rules_of(rules_file) if rules_file is not None else self._environment.all_rules
        found = next((item for item in self._store().deployments() if item.id == deployment), None)
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
        source = Source(self._environment)
        stable = engines.create(self._environment).stable()
        rows: list[dict[str, Any]] = []
        for version in source.versions():
            release = read(source.folder / version)
            found = faults(release.folder)
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

    def up(self) -> Document:
        """Starts the environment's own servers, and the release that served last if it does not run any more."""
        from gate.stack import Stack

        state = self._environment.state_folder
        with lock.held(state / "lock", "starting the servers"):
            Stack(self._environment).up(self._terminal.say)
            engine = engines.create(self._environment)
            stable = engine.stable()
            if stable is not None and any(not item.alive for item in engine.health(stable)):
                self._revive(engine, stable)
        return self.status()

    def _revive(self, engine: Engine, stable: Instance) -> None:
        self._terminal.say(f"{stable.version} ({stable.id}) served last and has ended: starting it again")
        engine.start(read(Path(stable.folder)), stable.id)
        timeout = max(service.start_timeout for service in self._environment.services.values())
        if not wait_until(lambda: all(item.healthy for item in engine.health(stable)), timeout=timeout):
            detail = "; ".join(f"{item.service} {item.detail}" for item in engine.health(stable) if not item.healthy)
            raise EngineError(f"{stable.version} does not get healthy: {detail}")

    def down(self) -> Document:
        """Stops the releases and the environment's own servers; data stays."""
        from gate.stack import Stack

        state = self._environment.state_folder
        with lock.held(state / "lock", "stopping the servers"):
            engine = engines.create(self._environment)
            for instance in engine.instances():
                self._terminal.say(f"stopping {instance.version} ({instance.id})")
                engine.stop(instance)
            Stack(self._environment).down(self._terminal.say)
        return {"environment": self._environment.name, "down": True}

    def _instance(self, engine: Engine, instance: Instance, stable: Instance | None) -> Document:
        states = engine.health(instance)
        told = ", ".join(f"{s.service} {'healthy' if s.healthy else s.detail or 'not healthy'}" for s in states)
        return {
            "id": instance.id,
            "version": instance.version,
            "digest": instance.digest,
            "stable": stable is not None and stable.id == instance.id,
            "health": told,
            "healthy": all(state.healthy for state in states),
        }

    def _store(self) -> Store:
        return Store(self._environment.state_folder / "gate.db")


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
