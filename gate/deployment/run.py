"""What the steps of one deployment share: the environment, the engine, the releases, and what was found so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.config import Environment
from gate.deployment.evidence import Evidence, SuiteRun
from gate.deployment.pausing import Pause
from gate.deployment.view import View
from gate.engines.base import Engine, Instance
from gate.errors import OperationFailed
from gate.judging.way_back import WayBack
from gate.machine.interrupt import Interrupts
from gate.records.journal import Journal
from gate.records.store import Store
from gate.releases import Release, known
from gate.results import Case, Decision, Reason, Severity, SuiteResult, Verdict
from gate.suites.context import SYNTHETIC, Context
from gate.suites.events import Planned

if TYPE_CHECKING:
    from gate.database.migrations import Migrations
    from gate.database.restoring import Restoring
    from gate.judging.confirm import Confirmation
    from gate.watching.synthetic import Synthetic
    from gate.watching.watch import Watch

Decide = Callable[[SuiteResult], Verdict | None]
Ask = Callable[["Run", Sequence[Reason]], "Answered"]


@dataclass(frozen=True)
class Answered:
    """What became of the question whether to keep what is held: GO or ROLLBACK, and who or what decided."""

    decision: Decision
    why: str


@dataclass(frozen=True)
class Options:
    """What the person who started the run allowed: ``allow_downgrade`` an older release than the one that serves,
    ``without_backup`` a restore that does not back up the present first, ``again`` (why) a release that failed here,
    ``roll_forward`` (why) a migration without a way back, ``emergency`` (why) a deployment that waits for nobody."""

    allow_downgrade: bool = False
    without_backup: bool = False
    again: str = ""
    roll_forward: str = ""
    emergency: str = ""


@dataclass
class Run:
    """One run of the pipeline."""

    environment: Environment
    engine: Engine
    store: Store
    view: View
    interrupts: Interrupts
    release: Release
    stable: Instance | None
    deployment: int
    action: str
    by: str
    folder: Path
    reports: Path
    options: Options = Options()
    command: str = ""
    asking: Ask | None = None
    demand_lock: Callable[[], None] = lambda: None
    rival: Callable[[], str | None] = lambda: None
    restoring: Restoring | None = None
    evidence: Evidence = field(default_factory=Evidence)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.started_at = self.clock()
        self.journal = Journal(self.store, self.deployment)
        self.pause = Pause(self.environment)
        self.forced = ""
        """Why it was an emergency, where another process began it; empty where it was none."""
        self.stuck = False
        """Whether the schema could not be taken back, and there was no way back from the beginning."""
        self._way_back: WayBack | None = None
        self._watch: Watch | None = None
        self._synthetic: Synthetic | None = None

    @property
    def candidate_id(self) -> str:
        """The engine's name for this deployment's start of the release; known before it is started."""
        return f"r{self.deployment}"

    @property
    def candidate(self) -> Instance | None:
        return self.engine.find(self.candidate_id)

    @property
    def stable_release(self) -> Release | None:
        """The release that served when the run began; by what the engine knows of it when its folder is damaged."""
        if self.stable is None:
            return None
        return known(self.stable.version, self.stable.digest, self.stable.commit, Path(self.stable.folder))

    @property
    def emergency(self) -> str:
        """Why it went past what it had to wait for, in this process or in the one that began it; empty where it did
        not."""
        waited = self.evidence.permission
        if waited is None:
            return self.forced
        return waited.emergency if waited.skipped else ""

    def note(self, text: str) -> None:
        """Something the report and the person must know, though it changes no outcome."""
        self.evidence.notes.append(text)
        self.view.note(text)

    @property
    def way_back(self) -> WayBack:
        """How this deployment can be taken back, as the checks found out in this process or in one before."""
        return self._way_back or WayBack.of(self.journal.facts("migrate").get("way_back"))

    @way_back.setter
    def way_back(self, found: WayBack) -> None:
        self._way_back = found

    def migrations(self) -> Migrations | None:
        """The migration tool of the candidate, None where the environment declares none.

        While users wait it gives up in time.
        """
        from gate.database import migrations

        return migrations.create(self.pause.hurried(), self.release, self.view.progress)

    def suite(
        self,
        phase: str,
        decide: Decide,
        only: list[Severity] | None = None,
        confirmation: Confirmation | None = None,
    ) -> SuiteResult:
        """Runs the checks (phase ``checks``) or the smoke tests (every other phase) as a child process."""
        from gate.suites import suite

        section = self.environment.checks if phase == "checks" else self.environment.smoke
        context = self._context(phase, only or [])
        return suite.run(
            self.environment,
            context,
            section.folders,
            self.folder,
            on_case=self.view.case,
            on_planned=self.view.planned,
            decide=decide,
            confirmation=confirmation,
            stop=self._stop,
        )

    def _stop(self) -> str:
        """Why a suite need not go on: live traffic has decided."""
        if self._watch is None or self._watch.standing.decision is not Decision.ROLLBACK:
            return ""
        return "live traffic has decided: " + "; ".join(item.text for item in self._watch.standing.reasons)

    def collect_smoke(self) -> Planned:
        """The smoke tests that the candidate would be put through. Raises SuiteError when they cannot be collected."""
        from gate.suites import suite

        folders = self.environment.smoke.folders
        return suite.collect(self.environment, self._context("candidate", []), folders, self.folder)

    def _context(self, phase: str, only: list[Severity]) -> Context:
        restored = phase == "restored"
        under_test = self.stable if restored else self.candidate
        return Context(
            environment=self.environment.name,
            phase=phase,
            deployment=self.deployment,
            release=self.stable_release if restored else self.release,
            stable=self.stable_release,
            instance=under_test.id if under_test and phase != "checks" else None,
            stable_instance=self.stable.id if self.stable else None,
            allow_downgrade=self.options.allow_downgrade,
            roll_forward=self.environment.redactor(self.options.roll_forward),
            known_digests=self.store.known_digests(),
            only=tuple(only),
        )

    def record_suite(
        self, phase: str, result: SuiteResult, verdict: Verdict, *, least: int | None = None, owed: Collection[str] = ()
    ) -> None:
        self.evidence.suites.append(SuiteRun(phase, result, verdict, self.clock(), least, frozenset(owed)))

    def ask_invariants(self, moment: str) -> None:
        """Keeps how the data invariants stand, for the report; what decides on them are cases."""
        database = self.environment.database
        if database is None or database.invariants is None:
            return
        from gate.database import invariants

        try:
            found = invariants.run(database.url, self.environment.root / database.invariants)
        except OperationFailed as fault:
            self.evidence.invariants.append((moment, [], str(fault)))
        else:
            self.evidence.invariants.append((moment, found, ""))

    def watched(self) -> Watch:
        """The watch over the candidate under live traffic; begins with the first call. Raises OperationFailed."""
        from gate import engines
        from gate.watching.watch import Watch

        if self._watch is None:
            candidate = self.candidate
            if candidate is None:
                raise OperationFailed(f"{self.candidate_id} is not there any more")
            # An engine of its own: it remembers what a process used when it was last asked.
            engine = engines.create(self.environment)
            try:
                self._watch = Watch(
                    self.environment,
                    engine,
                    candidate,
                    self.stable,
                    self.folder,
                    resting=not (self.way_back.lives and self.engine.beside),
                )
                self._watch.start()
            except OSError as fault:
                raise OperationFailed(f"{self.folder}: nothing can be watched: {fault.strerror}") from None
        return self._watch

    @property
    def watch(self) -> Watch | None:
        """The watch, if one goes on."""
        return self._watch

    def stop_watching(self) -> None:
        """Ends the watch; nothing that it sees from here on would change anything."""
        self.stop_synthetic()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def send_synthetic(self, watch: Watch) -> None:
        """Sends requests of the team's own to the candidate from now on, whenever users send too few."""
        file = self.environment.traffic.synthetic
        if file is None or self._synthetic is not None or not watch.wants_traffic:
            return
        from gate.suites import suite
        from gate.watching.synthetic import Synthetic

        context = self._context(SYNTHETIC, [])

        def batch(stop: Callable[[], str]) -> SuiteResult:
            return suite.run(self.environment, context, [file], self.folder, stop=stop)

        self._synthetic = Synthetic(batch, lambda: watch.wants_traffic)

    def stop_synthetic(self) -> None:
        """Ends what ``send_synthetic`` began, and says so if it could not send."""
        synthetic, self._synthetic = self._synthetic, None
        if synthetic is None:
            return
        synthetic.stop()
        sent = f"{synthetic.batches} batches of synthetic traffic were sent, for users sent too little"
        self.note(f"synthetic traffic: {synthetic.broken}" if synthetic.broken else sent)

    def ask(self, reasons: Sequence[Reason]) -> Answered | None:
        """What a person says about an inconclusive verdict; None: nobody is there to be asked."""
        return self.asking(self, reasons) if self.asking is not None else None

    def counted(self) -> dict[str, int]:
        """Cases and checks that ran, in this process or before the run was held."""
        held = self.journal.last("held")
        found = {name: getattr(self.evidence, name) for name in ("cases", "checks")}
        return {name: count or int(held.get(name, 0)) for name, count in found.items()}

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return (self.clock() - self.started_at).total_seconds()


def one_line(case: Case) -> str:
    """A case's id and message as one line."""
    return f"{case.id}: {case.message}" if case.message else case.id


Facts = dict[str, Any]
