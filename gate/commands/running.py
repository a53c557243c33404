"""One run of the pipeline as a command sees it: from its place in the records to its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gate import engines
from gate.approval import outstanding, owing
from gate.deployment import holding, pipeline
from gate.deployment.run import Options, Run
from gate.deployment.sampling import sampling
from gate.engines.base import Instance
from gate.errors import OperationFailed
from gate.evidence import afterwards, commits, recording, resealing
from gate.machine import account
from gate.machine.interrupt import Interrupts
from gate.notify import runs as messages
from gate.records.store import Deployment, Store
from gate.releases import Release, known
from gate.results import Outcome, Reason
from gate.rollback import kept, mending
from gate.steps.promote import prune
from gate.terminal import answers
from gate.terminal.answers import Answer
from gate.watching import serving

if TYPE_CHECKING:
    from gate.database.restoring import Restoring
from gate.commands.grounds import Grounds

_NOTHING_ALLOWED = Options()


class Running(Grounds):
    """Begins runs, takes up those that died or are held, and ends them."""

    def _decide(self, store: Store, held: holding.Hold, act: Callable[[Run], Outcome]) -> Answer:
        run = self._recovering(store, held.deployment)
        self._terminal.header(f"{self._environment.name}  {held.told(self._environment)}")
        with run.interrupts.listening():
            with sampling(run):
                outcome = act(run)
            return self._finish(run, outcome)

    def _recovering(self, store: Store, dead: Deployment) -> Run:
        stable = self._stable_of(dead)
        release = known(dead.version, dead.digest, dead.commit, Path(dead.folder))
        run = self._new_run(store, release, stable, dead.action, deployment=dead.id)
        with suppress(OperationFailed):  # which keeps nobody from a decision, and is told with what is owed
            run.forced = owing.reason(store, dead.id)
        resealing.take_up(run)
        return run

    def _stable_of(self, dead: Deployment) -> Instance | None:
        """What served when a run began; or what does by now, after a rollback that nobody could record."""
        if dead.stable_instance is None:
            return None
        engine = engines.create(self._environment)
        serving = mending.agreed(engine)
        taken_back = serving if serving is not None and serving.id != f"r{dead.id}" else None
        return engine.find(dead.stable_instance) or taken_back

    def _run(
        self,
        store: Store,
        release: Release,
        stable: Instance | None,
        action: str,
        options: Options,
        *,
        restoring: Restoring | None = None,
        note: str = "",
        because: Sequence[Reason] = (),
    ) -> Answer:
        deployment = store.begin(
            above=self._highest_left(),
            action=action,
            version=release.version,
            digest=release.digest,
            commit=release.commit,
            folder=str(release.folder),
            stable_version=stable.version if stable else None,
            stable_instance=stable.id if stable else None,
            by=account.whoami(),
            committed_at=commits.made_at(self._environment.root, release.commit) if action == "deploy" else None,
        )
        run = self._new_run(store, release, stable, action, deployment=deployment, options=options)
        run.restoring = restoring
        way = f"{stable.version if stable else 'nothing'} → {release.version}"
        where = " at ".join(filter(None, (self._environment.engine.kind, ", ".join(self._environment.places))))
        self._terminal.header(
            f"{self._environment.name}  {f'restoring {restoring.backup.id}' if restoring else way}   "
            f"{self._environment.app.name}   {where}   deployment {deployment}   by {run.by}"
        )
        if note:
            run.note(note)
        if because:
            run.evidence.fail(list(because), run.clock())
        if action != "plan":
            self._tell_people(lambda: messages.started(run), store)
        for debt in owing.open_debts(self._environment, store) if action in ("deploy", "plan") else ():
            self._terminal.note(debt.told(run.started_at))
        act = {
            "deploy": pipeline.deploy,
            "plan": pipeline.plan,
            "rollback": pipeline.rollback,
            "restore": pipeline.restore,
        }[action]
        with run.interrupts.listening():
            with sampling(run):
                outcome = act(run)
            return self._finish(run, outcome)

    def _highest_left(self) -> int:
        """The highest number of a deployment that left anything: its records may be lost, its instance may serve."""
        reports = self._environment.root / "reports" / self._environment.name
        places = (self._state / "rel", self._state / "runs", reports)
        names = (entry.name.strip("rx") for place in places if place.is_dir() for entry in place.iterdir())
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def _new_run(
        self,
        store: Store,
        release: Release,
        stable: Instance | None,
        action: str,
        *,
        deployment: int,
        options: Options = _NOTHING_ALLOWED,
    ) -> Run:
        return Run(
            environment=self._environment,
            engine=engines.create(self._environment),
            store=store,
            view=self._terminal,
            interrupts=Interrupts(lambda: self._terminal.note("heard; this part is finished first")),
            release=release,
            stable=stable,
            deployment=deployment,
            action=action,
            by=account.whoami(),
            folder=self._state / "runs" / str(deployment),
            reports=self._environment.root / "reports" / self._environment.name / str(deployment),
            options=options,
            command=self._command,
            asking=self._ask,
            demand_lock=self._lock.demand,
            rival=self._lock.rival,
        )

    def _finish(self, run: Run, outcome: Outcome) -> Answer:
        reasons = list(dict.fromkeys(item.text for item in run.evidence.reasons))
        next_step = answers.next_step(run, outcome, self._door)
        accepted = run.journal.facts("accept")  # what a recovered run had counted
        counted = {name: count or accepted.get(name, 0) for name, count in run.counted().items()}
        shown = self._shown(run.reports / recording.REPORT)
        run.evidence.owed = outstanding.told(self._environment, run.store, run.clock())
        try:  # bookkeeping never changes what is true
            kept.remember(run, outcome)
        except Exception as fault:  # noqa: BLE001 - it is told
            self._terminal.note(f"a rollback without records will not know of it: {type(fault).__name__}: {fault}")
        try:
            run.store.end(run.deployment, outcome, reasons, report=shown, final=run.stuck, **counted)
        except Exception as fault:  # noqa: BLE001 - it is told
            self._terminal.note(f"the outcome is not recorded: {type(fault).__name__}: {fault}")
        try:
            prune(run)
        except Exception as fault:  # noqa: BLE001 - it is told
            self._terminal.note(f"what nobody needs any more was not removed: {type(fault).__name__}: {fault}")
        if run.action != "plan" and outcome not in (Outcome.HELD, Outcome.ROLLBACK_FAILED):
            try:
                run.engine.settle()
            except OperationFailed as fault:
                run.note(f"what serves will not be started again by itself: {fault}")
        serves = serving.look(run.engine)
        if run.action != "plan":
            self._tell_people(lambda: messages.ended(run, outcome, serves, next_step, shown), run.store)
        told = afterwards.tell(run, outcome, next_step, shown, self._terminal.note)
        if outcome is Outcome.HELD:
            self._start_keeper(run)
        if serves.unknown:
            run.note(f"what serves cannot be told: {serves.fault}")
        afterwards.show_standing(run, self._terminal)
        answers.tell(self._terminal.say, run, outcome, serves, report=told.report, next_step=next_step)
        self.answer = answers.of(run, outcome, serves, report=told.report, next_step=next_step)
        # Last: neither a slow server nor a disk keeps anybody from the outcome.
        afterwards.settle(run, self._notifier, told, self._terminal.note)
        self.answer = answers.of(run, outcome, serves, report=told.report, next_step=next_step)
        afterwards.show_job(run, outcome, serves, told, self._terminal)
        # Of what is held the evidence is not whole, and whoever decides must not wait for a server.
        found = afterwards.packed(run) if told.report is not None and outcome is not Outcome.HELD else None
        self.answer = answers.of(run, outcome, serves, report=told.report, next_step=next_step)
        if found is not None:

            def publish() -> Answer:
                with self._terminal.working("publishing"):
                    afterwards.publish(run, found, self._door)
                return answers.of(run, outcome, serves, report=told.report, next_step=next_step)

            self._publish = publish
        return self.answer

    def _published(self, answer: Answer) -> Answer:
        """Publishes the evidence of what has ended, now that the lock was given back: nobody waits for a server.

        Returns the answer with what became of that; its outcome stays what it was.
        """
        publish, self._publish = self._publish, None
        if publish is None:
            return answer
        self.answer = publish()
        return self.answer

    def _start_keeper(self, run: Run) -> None:
        """Somebody must watch it while nobody runs a command."""
        try:
            holding.start_keeper(self._environment, run.deployment)
        except OperationFailed as fault:
            run.note(f"nobody watches the held deployment, and nobody will roll it back by itself: {fault}")

    def _shown(self, path: Path) -> str:
        root = self._environment.root
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
