"""What each command of the command line does, from a loaded environment to an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gate import engines
from gate.approval import outstanding, owing
from gate.config import Environment
from gate.deployment import abandoned, holding, pipeline
from gate.deployment.run import Ask, Options, Run
from gate.deployment.sampling import sampling
from gate.engines.base import Engine, Instance
from gate.errors import Locked, OperationFailed, Refused, UsageError
from gate.evidence import afterwards, commits, recording, resealing
from gate.machine import account
from gate.machine.interrupt import Interrupts
from gate.notify import Notifier, say_failures
from gate.notify import runs as messages
from gate.notify.message import Message
from gate.notify.message import alert as alerted
from gate.records import lock
from gate.records.store import Deployment, Store
from gate.releases import Release, known, parse_version, read, source
from gate.results import Outcome, Reason, Verdict
from gate.rollback import kept, mending, recorded, served, unrecorded
from gate.steps.promote import prune
from gate.terminal import answers
from gate.terminal.answers import Answer
from gate.terminal.terminal import Terminal
from gate.watching import serving

if TYPE_CHECKING:
    from gate.database.restoring import Restoring

_NOTHING_ALLOWED = Options()


def utc() -> datetime:
    return datetime.now(UTC)


class Commands:
    """The commands on one environment."""

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

    def deploy(self, version: str, options: Options, *, dry_run: bool, confirm: Callable[[str], bool]) -> Answer:
        """Deploys a version; with ``dry_run`` only checks it."""
        wanted = str(parse_version(version, self._environment.name))
        with self._locked(f"{'dry run of' if dry_run else 'deploying'} {wanted}") as store:
            self._refuse_unfinished(store)
            release = source(self._environment).get(wanted)
            failed = self._demand_reason(store, release, options)
            engine = engines.create(self._environment)
            stable = engine.stable()
            if stable is None:
                self._refuse_lost(engine, store)
            origin = stable.version if stable else "nothing (first deployment)"
            if not dry_run and not confirm(f"{self._environment.name}: {origin} → {release.version}. Deploy?"):
                raise UsageError("not confirmed; nothing was touched", next_step="say y, or give --yes")
            answer = self._run(store, release, stable, "plan" if dry_run else "deploy", options, note=failed)
        return self._published(answer)

    def rollback(self, version: str | None, *, confirm: Callable[[str], bool]) -> Answer:
        """Makes an earlier release serve again; a deployment that is held is undone."""
        version = str(parse_version(version, self._environment.name)) if version else None
        with self._locked_whatever(f"rolling back to {version or 'the release before'}") as (store, fault):
            answer = self._roll_back(store, version, fault=fault, confirm=confirm)
        return self._published(answer)

    def _roll_back(
        self,
        store: Store,
        version: str | None,
        *,
        fault: OperationFailed | None = None,
        confirm: Callable[[str], bool],
        because: Sequence[Reason] = (),
    ) -> Answer:
        """The same under a lock that is held; ``because``: why, where it is no person's decision."""
        held = holding.find(store)
        if held is not None and version in (None, held.deployment.stable_version):
            return self._decide(store, held, lambda run: pipeline.give_up(run, f"{run.by} decided to roll back"))
        failed = self._refuse_unfinished(store, but_failed=version is not None)
        engine = engines.create(self._environment)
        stable = engine.stable()
        if stable is None:
            self._refuse_lost(engine, store)
            raise UsageError("nothing serves here, so there is nothing to roll back from")
        if fault is None:
            release = recorded.target(store, stable, version, self._typed)
        else:
            release = unrecorded.target(self._environment, engine, stable, version, fault=fault, command=self._typed)
        way = f"back from {stable.version} to {release.version}"
        if release.digest == stable.digest:
            way = f"{stable.version} stays, and what came after it and was never decided on is taken away"
        if not confirm(f"{self._environment.name}: {way}. Roll back?"):
            raise UsageError("not confirmed; nothing was touched", next_step="say y, or give --yes")
        note = f"{way}; not recorded, for {fault}; recover once they can be used again" if fault is not None else ""
        options = Options(allow_downgrade=True)
        answer = self._run(store, release, stable, "rollback", options, note=note, because=because)
        if failed is not None and answer.outcome is Outcome.ROLLED_BACK:
            self._close(store, failed, f"given up for a rollback to {release.version}")
        return answer

    def monitor(self, page: Callable[[str], None], clock: Callable[[], datetime] = utc) -> Answer:
        """Runs the tick of the monitoring that is due; ``page`` takes what somebody has to see now."""
        from gate.evidence import appended
        from gate.monitoring.monitor import Monitor
        from gate.monitoring.paging import Pager

        def by_policy(store: Store, reasons: Sequence[Reason]) -> Answer:
            return self._roll_back(store, None, confirm=lambda _: True, because=reasons)

        def alert(title: str, reasons: Sequence[str], found: Deployment) -> None:
            self._tell_people(
                lambda: alerted(self._environment, clock(), title, reasons, deployment=found.id, version=found.version)
            )

        def dead(left: Deployment, told: str, next_step: str) -> None:
            self._tell_people(lambda: messages.dead(self._environment, left, told, next_step=next_step, at=clock()))

        answer = Monitor(
            self._environment,
            say=self._terminal.say,
            pager=Pager(self._environment, page, alert, dead),
            view=self._terminal,
            door=self._door,
            locked=self._locked,
            roll_back=by_policy,
            report=lambda store, found, at: appended.monitoring(self._environment, store, found, at),
            clock=clock,
        ).run()
        say_failures(self._notifier.settle(), self._terminal.note)
        return Answer(answer.outcome, {**answer.document, **self._published(answer).document})

    def keep(self) -> Answer:
        """Goes on with the deployment that is held."""
        with self._locked("keeping what was held") as store:
            answer = self._decide(store, self._held(store), pipeline.keep)
        return self._published(answer)

    def give_up(self, why: str, live: Verdict | None = None) -> Answer:
        """Undoes the deployment that is held; ``live`` is what the traffic has decided meanwhile."""
        with self._locked("rolling back what was held") as store:
            answer = self._decide(store, self._held(store), lambda run: pipeline.give_up(run, why, live))
        return self._published(answer)

    def restore(self, backup: str, options: Options, *, confirm: Callable[[str], bool]) -> Answer:
        """Makes a backup the live database, once a person has seen what would be lost and confirmed it."""
        from gate.database import restoring

        with self._locked(f"restoring {backup}") as store:
            self._refuse_unfinished(store, but_failed=True)
            engine = engines.create(self._environment)
            chosen, stable = restoring.choose(self._environment, backup), engine.stable()
            if stable is None:
                raise UsageError(
                    "nothing serves here, so nothing could prove the restored data",
                    next_step=f"{self._typed} --version V   first, then restore",
                )
            release = read(Path(stable.folder))
            fits = restoring.demand_fit(self._environment, release, chosen.backup)
            self._terminal.say(f"restore {chosen.told}")
            self._terminal.say(f"  {fits}")
            try:
                lost = restoring.lost(self._environment, chosen.backup, self._terminal.progress)
            except OperationFailed as fault:
                if not options.without_backup:  # what cannot be read cannot be backed up first either
                    raise
                lost = [f"cannot be told: {fault}"]
            for line in lost:
                self._terminal.say(f"  lost   {line}")
            if not confirm(f"{self._environment.name}: all this is taken back. Type the environment's name to do it: "):
                raise UsageError(
                    "not confirmed; nothing was touched",
                    next_step=f"type the environment's name, or give --confirm {self._environment.name}",
                )
            answer = self._run(store, release, stable, "restore", options, restoring=chosen)
        return self._published(answer)

    def _held(self, store: Store) -> holding.Hold:
        held = holding.find(store)
        if held is None:
            raise UsageError("no deployment is held here", next_step=f"{self._typed} status")
        return held

    def _decide(self, store: Store, held: holding.Hold, act: Callable[[Run], Outcome]) -> Answer:
        run = self._recovering(store, held.deployment)
        self._terminal.header(f"{self._environment.name}  {held.told(self._environment)}")
        with run.interrupts.listening():
            with sampling(run):
                outcome = act(run)
            return self._finish(run, outcome)

    def recover(self) -> Answer:
        """Finishes what a dead run left behind, and leads traffic back where it was lost."""
        with self._locked("recovering") as store:
            mending.clear(self._environment, self._terminal.note)
            mending.rebuild(self._environment, store, self._terminal.note)
            dead = store.unfinished()
            if dead is None:
                mending.lead_back(self._environment, store, self._terminal.note)
                engines.create(self._environment).settle()
                return self._nothing_to_recover()
            held = holding.find(store)
            if held is not None:
                raise self._undecided(held)
            self._lead_back_for_undo(store)
            run = self._recovering(store, dead)
            self._terminal.header(f"{self._environment.name}  recovering deployment {dead.id}, {dead.version}")
            with run.interrupts.listening():
                answer = self._finish(run, pipeline.recover(run, dead))
        return self._published(answer)

    def _lead_back_for_undo(self, store: Store) -> None:
        """Traffic that reaches nothing gets back first; where that fails the undo tells what is true."""
        try:
            mending.lead_back(self._environment, store, self._terminal.note)
        except OperationFailed as fault:
            self._terminal.note(str(fault))

    def _nothing_to_recover(self) -> Answer:
        self._terminal.say("Nothing to recover: every deployment has ended.", "green")
        document = {
            "outcome": "DONE",
            "exit_code": 0,
            "environment": self._environment.name,
            "deployment": None,
            "release": None,
            "stable": serving.look(engines.create(self._environment)).document(),
            "reasons": [],
            "report": None,
            "next": "",
        }
        return Answer(Outcome.PLANNED, self._environment.redactor.tree(document))

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
        serving = engine.stable()
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
        self._terminal.header(
            f"{self._environment.name}  {f'restoring {restoring.backup.id}' if restoring else way}   "
            f"{self._environment.app.name}   {self._environment.engine.kind}   deployment {deployment}   by {run.by}"
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

    def _shown(self, path: Path) -> str:
        root = self._environment.root
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
