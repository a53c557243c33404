"""What the gate remembers of deployments, through SQLAlchemy: in a file, or in a PostgreSQL that a team shares.

Every write is its own transaction and is durable before the call returns: the journal is written ahead of what it
announces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gate.config import Environment
from gate.records import place_of
from gate.records.place import Place
from gate.redact import Redactor
from gate.results import Outcome

_META = sa.MetaData()
_DEPLOYMENTS = sa.Table(
    "deployments",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("commit", sa.String),
    sa.Column("folder", sa.String, nullable=False),
    sa.Column("stable_version", sa.String),
    sa.Column("stable_instance", sa.String),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("ended_at", sa.String),
    sa.Column("outcome", sa.String),
    sa.Column("reasons", sa.JSON, nullable=False, default=list),
    sa.Column("cases", sa.Integer, nullable=False, default=0),
    sa.Column("checks", sa.Integer, nullable=False, default=0),
    sa.Column("report", sa.String),
    sa.Column("committed_at", sa.String),
    sqlite_autoincrement=True,
)
_EVENTS = sa.Table(
    "events",
    _META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("deployment", sa.ForeignKey("deployments.id"), nullable=False, index=True),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False, default=dict),
)

UNTOUCHED = (Outcome.REFUSED, Outcome.PLANNED, Outcome.USAGE, Outcome.LOCKED)
"""How a run ends that touched nothing."""
FLAKY = "flaky"
"""Kind of the journal's line about a failure that was forgiven; its facts name the ``case``."""


@dataclass(frozen=True)
class Deployment:
    """One run of the pipeline as it is remembered. ``outcome`` is None while it runs, or when it died."""

    id: int
    action: str
    version: str
    digest: str
    commit: str | None
    folder: str
    stable_version: str | None
    stable_instance: str | None
    by: str
    started_at: str
    ended_at: str | None
    outcome: Outcome | None
    reasons: list[str]
    cases: int
    checks: int
    report: str | None
    committed_at: str | None = None


@dataclass(frozen=True)
class Event:
    """One line of a deployment's journal: ``kind`` is do, done, failed, undo, undone, undo_failed or flaky."""

    step: str
    kind: str
    facts: dict[str, Any]
    at: str


@dataclass(frozen=True)
class Flake:
    """A failure that was forgiven: the deployment it happened in, and the id of the case."""

    deployment: int
    case: str


class Store:
    """Deployments and their journals. Raises OperationFailed when they cannot be read or written.

    What is told goes through ``redact``. The facts of an intent do not: its undo needs them as they are.
    """

    def __init__(
        self,
        place: Place,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        redact: Redactor | None = None,
    ) -> None:
        self._clock = clock
        self._redact = redact or Redactor()
        self._place = place
        try:
            self._engine = place.open()
        except (OSError, sa.exc.SQLAlchemyError) as fault:
            raise place.unusable(fault) from None

    @staticmethod
    def of(environment: Environment) -> Store:
        """The records of an environment, where its file says they are."""
        return Store(place_of(environment), redact=environment.redactor)

    @property
    def lasting(self) -> bool:
        """Whether these are the environment's records, not those of one run alone."""
        return self._place.lasting

    def begin(self, *, above: int = 0, **facts: Any) -> int:
        """Remembers a deployment that starts now; returns its number, which is higher than ``above`` and all before."""
        facts |= {"started_at": self.now(), "reasons": [], "cases": 0, "checks": 0}
        newest = next((item.id for item in self.deployments(1)), 0)
        facts["id"] = max(above, newest) + 1  # a server's own numbers do not go on from one that was given
        return int(self.execute(sa.insert(_DEPLOYMENTS).values(**facts)).inserted_primary_key[0])

    def demand_writable(self) -> None:
        """Raises OperationFailed unless a run and its journal can be written down: they are, and are taken away again.

        A server that follows another one, a full disk and a right that was taken away let everything be read.
        """
        number = next((item.id for item in self.deployments(1)), 0) + 1
        told = dict.fromkeys(("action", "version", "digest", "folder", "by"), "") | {"started_at": self.now()}
        self.execute(
            sa.insert(_DEPLOYMENTS).values(id=number, **told, reasons=[], cases=0, checks=0),
            sa.insert(_EVENTS).values(deployment=number, at=self.now(), step="", kind="", facts={}),
            sa.delete(_EVENTS).where(_EVENTS.c.deployment == number),
            sa.delete(_DEPLOYMENTS).where(_DEPLOYMENTS.c.id == number),
        )

    def end(
        self,
        deployment: int,
        outcome: Outcome,
        reasons: list[str],
        *,
        cases: int,
        checks: int,
        report: str | None,
        final: bool = False,
    ) -> None:
        """Remembers how a deployment ended. It stays open when its rollback failed, for ``recover`` to try again
        unless that is ``final``, and when it is held, for a person to decide."""
        reasons = self._redact.tree(reasons)
        open_still = outcome is Outcome.HELD or (outcome is Outcome.ROLLBACK_FAILED and not final)
        ended = None if open_still else self.now()
        self.execute(
            sa.update(_DEPLOYMENTS)
            .where(_DEPLOYMENTS.c.id == deployment)
            .values(outcome=str(outcome), reasons=reasons, ended_at=ended, cases=cases, checks=checks, report=report)
        )

    def write(self, deployment: int, step: str, kind: str, facts: dict[str, Any]) -> None:
        """Appends a line to a deployment's journal; it is on disk when this returns."""
        facts = facts if kind == "do" else self._redact.tree(facts)
        json.dumps(facts)  # a fact that cannot be stored is a defect of ours: fail before anything acts on it
        self.execute(sa.insert(_EVENTS).values(deployment=deployment, at=self.now(), step=step, kind=kind, facts=facts))

    def events(self, deployment: int) -> list[Event]:
        query = sa.select(_EVENTS).where(_EVENTS.c.deployment == deployment).order_by(_EVENTS.c.id)
        return [Event(row.step, row.kind, row.facts, row.at) for row in self.rows(query)]

    def journals(self, steps: Collection[str]) -> dict[int, list[Event]]:
        """The lines of every deployment's journal about these steps, and about every undo, in their order."""
        query = (
            sa.select(_EVENTS).where(sa.or_(_EVENTS.c.step.in_(steps), _EVENTS.c.kind == "undo")).order_by(_EVENTS.c.id)
        )
        found: dict[int, list[Event]] = {}
        for row in self.rows(query):
            found.setdefault(row.deployment, []).append(Event(row.step, row.kind, row.facts, row.at))
        return found

    def flakes(self, deployments: int) -> list[Flake]:
        """What was forgiven in the last ``deployments`` that touched anything, one that runs now included, in order."""
        ran = (
            sa.select(_DEPLOYMENTS.c.id)
            .where(_DEPLOYMENTS.c.action == "deploy")
            .where(sa.or_(_DEPLOYMENTS.c.outcome.is_(None), _DEPLOYMENTS.c.outcome.not_in(list(map(str, UNTOUCHED)))))
            .order_by(_DEPLOYMENTS.c.id.desc())
            .limit(deployments)
        )
        query = (
            sa.select(_EVENTS)
            .where(_EVENTS.c.kind == FLAKY)
            .where(_EVENTS.c.deployment.in_(ran))
            .order_by(_EVENTS.c.id)
        )
        return [Flake(row.deployment, row.facts["case"]) for row in self.rows(query)]

    def deployments(self, limit: int | None = None) -> list[Deployment]:
        """Newest first."""
        query = sa.select(_DEPLOYMENTS).order_by(_DEPLOYMENTS.c.id.desc()).limit(limit)
        return [
            Deployment(**{**row._mapping, "outcome": Outcome(row.outcome) if row.outcome else None})
            for row in self.rows(query)
        ]

    def unfinished(self) -> Deployment | None:
        """The newest deployment that is open: it runs now, it died, or its rollback failed."""
        return next((item for item in self.deployments() if item.ended_at is None), None)

    def known_digests(self) -> dict[str, str]:
        """The digest each version had when it was first deployed here."""
        known: dict[str, str] = {}
        for item in reversed(self.deployments()):
            if item.outcome not in (Outcome.REFUSED, Outcome.PLANNED):
                known.setdefault(item.version, item.digest)
        return known

    def accepted(self) -> list[Deployment]:
        """Deployments that were kept, newest first."""
        return [item for item in self.deployments() if item.outcome is Outcome.RELEASED]

    def now(self) -> str:
        """The time as the records hold it."""
        return self._clock().isoformat(timespec="milliseconds")

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        """What a query finds."""
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query))
        except sa.exc.SQLAlchemyError as fault:
            raise self._place.unusable(fault) from None

    def execute(self, *statements: Any) -> Any:
        """Runs statements, all of them or none; returns what the last one did."""
        try:
            with self._engine.begin() as connection:
                return [connection.execute(statement) for statement in statements][-1]
        except sa.exc.SQLAlchemyError as fault:
            raise self._place.unusable(fault) from None
