"""The commands that start and stop an environment's own servers, and free its lock."""

from __future__ import annotations

from gate import engines
from gate.commands.status import Document, Status
from gate.deployment import holding
from gate.errors import Locked
from gate.records import lock
from gate.records.store import Store
from gate.rollback import mending


class Servers(Status):
    """``up`` and ``down``; each returns its JSON document."""

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
            stable = mending.agreed(engine)
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

    def _watch_again(self, store: Store | None) -> None:
        """Somebody must watch what is held; whoever did may have been killed, or the machine started anew."""
        held = holding.find(store) if store is not None else None
        if held is not None and not holding.keeper(self._environment).held():
            holding.start_keeper(self._environment, held.deployment.id)
            self._terminal.say(f"{held.told(self._environment)}: watched again")

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
