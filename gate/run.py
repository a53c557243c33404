"""What the steps of one deployment share: the environment, the engine, the releases, and what was found so far."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.config import Environment
from gate.context import Context
from gate.engines.base import Engine, Instance
from gate.errors import OperationFailed
from gate.events import Planned
from gate.evidence import Evidence, SuiteRun
from gate.interrupt import Interrupts
from gate.journal import Journal
from gate.releases import Release, read
from gate.results import Case, Severity, SuiteResult, Verdict
from gate.store import Store
from gate.view import View

if TYPE_CHECKING:
    from gate.confirm import Confirmation
    from gate.database.migrations import Migrations

Decide = Callable[[SuiteResult], Verdict | None]


@dataclass(frozen=True)
class Options:
    """What the person who started the run allowed: ``allow_downgrade`` an older release than the one that serves."""

    allow_downgrade: bool = False


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
    evidence: Evidence = field(default_factory=Evidence)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.started_at = self.clock()
        self.journal = Journal(self.store, self.deployment)

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
        with suppress(OperationFailed):
            return read(Path(self.stable.folder))
        return Release(self.stable.version, self.stable.digest, self.stable.commit, Path(self.stable.folder))

    def note(self, text: str) -> None:
        """Something the report and the person must know, though it changes no outcome."""
        self.evidence.notes.append(text)
        self.view.note(text)

    def migrations(self) -> Migrations | None:
        """The migration tool of the candidate, None where the environment declares none."""
        from gate.database import migrations

        return migrations.create(self.environment, self.release)

    def suite(
        self,
        phase: str,
        decide: Decide,
        only: list[Severity] | None = None,
        confirmation: Confirmation | None = None,
    ) -> SuiteResult:
        """Runs the checks (phase ``checks``) or the smoke tests (every other phase) as a child process."""
        from gate import suite

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
        )

    def collect_smoke(self) -> Planned:
        """The smoke tests that the candidate would be put through. Raises SuiteError when they cannot be collected."""
        from gate import suite

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
            known_digests=self.store.known_digests(),
            only=tuple(only),
        )

    def record_suite(self, phase: str, result: SuiteResult, verdict: Verdict) -> None:
        self.evidence.suites.append(SuiteRun(phase, result, verdict, self.clock()))

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

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return (self.clock() - self.started_at).total_seconds()


def one_line(case: Case) -> str:
    """A case's id and message as one line."""
    return f"{case.id}: {case.message}" if case.message else case.id


Facts = dict[str, Any]
