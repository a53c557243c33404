"""Leads an environment back whose small files were damaged or emptied: what was deployed is remembered twice.

The engine's own facts (who has the traffic, what an instance is) and the records of deployments tell of the same
things. Where the engine's are gone, the records say what they were.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gate import engines
from gate.config import ContainerSettings, Environment
from gate.engines.base import Engine, Instance, Split
from gate.errors import EngineError, GateError
from gate.machine.shell import wait_until
from gate.records.journal import to_undo
from gate.records.store import Deployment, Store
from gate.releases import read
from gate.results import Outcome
from gate.rollback import served

Say = Callable[[str], None]


def agreed(engine: Engine) -> Instance | None:
    """What has the traffic; None too where several servers do not agree, and the records must say. Raises
    OperationFailed."""
    try:
        return engine.stable()
    except Split:
        return None


def lost(engine: Engine, store: Store) -> Deployment | None:
    """The deployment whose release had the traffic, if traffic points at nothing by now, or at one release here and at
    another there. Raises OperationFailed."""
    try:
        return _last_served(store) if engine.stable() is None else None
    except Split:
        begun = store.unfinished()
        if begun is None:
            return served.last(store)
        # A switch, or the way back, ended between two servers: the undo leads all of them back, never on to the
        # candidate, and knows which release can live on the schema. Only one that was accepted stays.
        accepted = any(step.name == "accept" and step.done for step in to_undo(store.events(begun.id)))
        return begun if accepted else None


def rebuild(environment: Environment, store: Store, say: Say) -> None:
    """Writes down again what instances are whose facts are damaged, or gone though they have the traffic.

    Raises OperationFailed.
    """
    known = {f"r{item.id}": _instance(item) for item in store.deployments()}
    for instance in engines.create(environment).rebuild(known):
        say(f"what {instance.id} is was damaged, and is written down again: {instance.version}")


def lead_back(environment: Environment, store: Store, say: Say) -> None:
    """Points traffic that reaches nothing at what had it last, and starts that where it does not run.

    Raises OperationFailed.
    """
    engine = engines.create(environment)
    wanted = lost(engine, store)
    if wanted is None:
        return
    instance = _instance(wanted)
    nothing = "does not reach it everywhere" if environment.places else "reaches nothing"
    say(f"traffic {nothing}, though {instance.version} ({instance.id}) was kept last: it gets it again")
    start(environment, engine, engine.find(instance.id) or instance)
    if engine.beside:
        engine.promote(instance)
    require_healthy(environment, engine, instance)  # with its exclusive services, which follow the traffic


def start(environment: Environment, engine: Engine, instance: Instance) -> None:
    """Starts what does not run of an instance and waits until it is healthy. Raises OperationFailed."""
    if engine.beside:
        engine.start(read(Path(instance.folder)), instance.id)
    else:
        engine.promote(instance)
    require_healthy(environment, engine, instance)


def require_healthy(environment: Environment, engine: Engine, instance: Instance) -> None:
    """Waits until an instance is healthy. Raises EngineError."""
    timeout = max(service.start_timeout for service in environment.services.values())
    if not wait_until(lambda: all(item.healthy for item in engine.health(instance)), timeout=timeout):
        detail = "; ".join(f"{item.name} {item.detail}" for item in engine.health(instance) if not item.healthy)
        raise EngineError(f"{instance.version} does not get healthy: {detail}")


def retire(environment: Environment, say: Say) -> None:
    """Stops what runs beside the release that has the traffic: a connection that was lost may have left it behind, or
    have brought what it was told when all was over. Call it under the lock, with nothing held and nothing to undo.

    Raises OperationFailed.
    """
    engine = engines.create(environment)
    stable = engine.stable() if engine.owns else None
    if stable is None:
        return
    for instance in engine.instances():
        if instance.id != stable.id:
            engine.stop(instance)
            say(f"{instance.version} ({instance.id}) still ran without traffic, and is stopped")


def _last_served(store: Store) -> Deployment | None:
    """The deployment whose instance had the traffic when the last run ended, or died."""
    begun = store.unfinished()
    if begun is None:
        return served.last(store)
    steps = to_undo(store.events(begun.id))
    if any(step.name == "pause" for step in steps):
        return None  # it reaches nothing on purpose: only the undo knows which release can live on the schema
    done = {step.name for step in steps if step.done}
    if "promote" in done and begun.outcome is not Outcome.ROLLBACK_FAILED:
        return begun
    return next((item for item in store.deployments() if f"r{item.id}" == begun.stable_instance), None)


def _instance(item: Deployment) -> Instance:
    started = datetime.fromisoformat(item.started_at)
    return Instance(f"r{item.id}", item.version, item.digest, item.commit, item.folder, started)


def clear(environment: Environment, say: Say) -> None:
    """Removes what a killed gate left beside its work: private servers and unfinished backups. What stays is told.

    Call it under the environment's lock: nobody else makes a backup then.
    """
    scratch, backups = environment.state_folder / "scratch", environment.state_folder / "backups"
    try:
        if scratch.is_dir():
            from gate.database.cluster import sweep

            sweep(scratch)
        if isinstance(environment.engine, ContainerSettings):
            from gate.containers.sweep import sweep as sweep_containers

            sweep_containers(environment, environment.engine)
        from gate.database.manifest import remove

        for file in backups.glob("*.partial"):
            remove(file)
    except (OSError, GateError) as fault:
        say(f"not everything that a killed run left could be removed: {fault}")
