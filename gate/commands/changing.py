"""What each command that changes an environment does, from a loaded environment to an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gate import engines
from gate.commands.running import Running
from gate.deployment import holding, pipeline
from gate.deployment.run import Options
from gate.errors import OperationFailed, UsageError
from gate.notify import runs as messages
from gate.notify import say_failures
from gate.notify.message import alert as alerted
from gate.records.store import Deployment, Store
from gate.releases import parse_version, read, source
from gate.results import Outcome, Reason, Verdict
from gate.rollback import mending, recorded, unrecorded
from gate.terminal.answers import Answer
from gate.watching import serving


def utc() -> datetime:
    return datetime.now(UTC)


class Commands(Running):
    """The commands on one environment."""

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

    def recover(self) -> Answer:
        """Finishes what a dead run left behind, and leads traffic back where it was lost."""
        with self._locked("recovering") as store:
            mending.clear(self._environment, self._terminal.note)
            mending.rebuild(self._environment, store, self._terminal.note)
            dead = store.unfinished()
            if dead is None:
                mending.lead_back(self._environment, store, self._terminal.note)
                mending.retire(self._environment, self._terminal.note)
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
