"""What every command that changes something stands on: the lock, the records, and what refuses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from gate.approval import outstanding
from gate.config import Environment
from gate.deployment import abandoned, holding, pipeline
from gate.deployment.run import Ask, Options
from gate.engines.base import Engine
from gate.errors import Locked, OperationFailed, Refused
from gate.machine import account
from gate.notify import Notifier, say_failures
from gate.notify import runs as messages
from gate.notify.message import Message
from gate.records import lock
from gate.records.store import Deployment, Store
from gate.releases import Release
from gate.results import Outcome
from gate.rollback import kept, mending, recorded, served, unrecorded
from gate.terminal.answers import Answer
from gate.terminal.terminal import Terminal


class Grounds:
    """An environment, locked or not, and what must not be so before anything begins."""

    def __init__(
        self, environment: Environment, terminal: Terminal, *, door: str, command: str, ask: Ask | None = None
    ) -> None:
        self._environment = environment
        self._terminal = terminal
        self._door = door
        self._typed = f"{door} {environment.name}"
        self._command = command
        self._ask = ask
        self._state = environment.state_folder
        self._lock = lock.Lock(environment)
        self._notifier = Notifier(environment)
        self.answer: Answer | None = None
        """How the run has ended, once it has."""
        self._publish: Callable[[], Answer] | None = None

    def _close(self, store: Store, failed: Deployment, why: str) -> None:
        """Nobody is to undo a deployment any more: what it left is not what serves now."""
        try:
            store.end(
                failed.id, Outcome.ROLLBACK_FAILED, [*failed.reasons, why],
                cases=failed.cases, checks=failed.checks, report=failed.report, final=True,
            )  # fmt: skip
        except OperationFailed as fault:
            self._terminal.note(f"deployment {failed.id} is still open on record: {fault}")

    def _refuse_unfinished(self, store: Store, *, but_failed: bool = False) -> Deployment | None:
        """``but_failed``: what could not be undone may be why somebody wants to go on; it is returned."""
        dead = store.unfinished()
        if dead is None or (but_failed and dead.outcome is Outcome.ROLLBACK_FAILED):
            return dead
        if abandoned.end_untouched(self._environment, store, self._terminal.note):
            return None
        held = holding.find(store)
        if held is not None:
            raise self._undecided(held)
        steps = pipeline.unfinished_steps(store, dead.id)
        begun = ", ".join(item.name for item in reversed(steps))
        accepted = any(item.name == "accept" and item.done for item in steps)
        does = "proves and finishes it, for it was accepted" if accepted else "takes that back and proves what serves"
        door = self._typed
        otherwise = f"; or {door} rollback --to VERSION" if dead.outcome is Outcome.ROLLBACK_FAILED else ""
        told = f"{abandoned.told(dead)}; begun: {begun}"
        next_step = f"{door} recover   {does}{otherwise}"
        if dead.outcome is not Outcome.ROLLBACK_FAILED:  # which told them by itself
            now = datetime.now(UTC)
            self._tell_people(lambda: messages.dead(self._environment, dead, told, next_step=next_step, at=now), store)
            say_failures(self._notifier.settle(), self._terminal.note)
        raise Locked(told, next_step=next_step)

    def _tell_people(self, make: Callable[[], Message | None], store: Store | None = None) -> None:
        """Sends a message on its way, and what is still to be signed for with it; that it cannot be made is told, and
        nothing else."""
        try:
            message = make()
            if message is not None:
                self._notifier.send(replace(message, owed=outstanding.told(self._environment, store, message.at)))
        except Exception as fault:  # noqa: BLE001 - whoever is told decides nothing
            self._terminal.note(f"nobody was told: {type(fault).__name__}: {fault}")

    def _demand_reason(self, store: Store, release: Release, options: Options) -> str:
        """Refuses a release that failed here until a person says why it may try again; a line for the report then."""
        failed = served.failed(store, release.digest)
        if failed is None:
            return ""
        told = f"{release.version} {recorded.told_of(failed)}"
        if not options.again:
            raise Refused(
                told,
                next_step=f"deploy a mended release, or this one: {self._typed} --version {release.version} "
                '--again "what is different now"',
            )
        return f"{told}; again, says {account.whoami()}: {options.again}"

    def _refuse_lost(self, engine: Engine, store: Store) -> None:
        """No first deployment where another one was kept: its undo would leave nothing that serves."""
        lost = mending.lost(engine, store)
        if lost is not None:
            raise OperationFailed(
                f"traffic reaches nothing, though {lost.version} (deployment {lost.id}) was kept last",
                next_step=f"{self._typed} up   gives it the traffic again",
            )

    def _undecided(self, held: holding.Hold) -> Locked:
        door = self._typed
        return Locked(held.told(self._environment), next_step=f"{door} keep   or   {door} rollback")

    @contextmanager
    def _locked(self, purpose: str) -> Iterator[Store]:
        with self._lock.held(purpose):
            store = self._store()
            self._settle_ways(store)
            yield store

    @contextmanager
    def _locked_whatever(self, purpose: str) -> Iterator[tuple[Store, OperationFailed | None]]:
        """The same, but where the records cannot be used: then with none, locked on this machine, and with why."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock.held(purpose))
                store, fault = self._store(), None
                store.demand_writable()
                self._settle_ways(store)
            except OperationFailed as unusable:
                if not unrecorded.room_in(self._state):
                    raise
                if not self._lock.ours():
                    stack.close()
                    stack.enter_context(self._lock.held(purpose, alone=True))
                store, fault = unrecorded.store(), unusable
            yield store, fault

    def _settle_ways(self, store: Store) -> None:
        try:
            kept.settle(self._environment, store)
        except Exception as fault:  # noqa: BLE001 - it is told
            self._terminal.note(f"a rollback without records may go elsewhere: {type(fault).__name__}: {fault}")

    def _store(self) -> Store:
        return Store.of(self._environment)
