"""Commands that look back: deployments, releases and backups there have been."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from gate import engines
from gate.approval import outstanding
from gate.approval.book import Book
from gate.config import Environment
from gate.errors import UsageError
from gate.evidence import courses
from gate.judging import dora, gaps
from gate.monitoring import standings
from gate.records.ledger import Ledger
from gate.records.store import Store
from gate.releases import faults as faults_of
from gate.releases import source
from gate.rollback import served
from gate.terminal.terminal import Terminal

if TYPE_CHECKING:
    from gate.database.manifest import Backup
from gate.commands.status import Document, row_of


class Past:
    """``history``, ``replay``, ``releases`` and ``restore`` without a backup; each returns its JSON document."""

    def __init__(self, environment: Environment, terminal: Terminal) -> None:
        self._environment = environment
        self._terminal = terminal

    def history(self, deployment: int | None) -> Document:
        """All deployments, newest first; or one whole, with its reasons and its journal."""
        store = Store.of(self._environment)
        rows = store.deployments()
        if deployment is None:
            table = Table(box=None, pad_edge=False)
            for column in ("id", "action", "from", "to", "outcome", "started", "by", "report"):
                table.add_column(column)
            forced = {debt.deployment: debt.reason for debt in Book(store).debts()}
            for item in rows:
                told = str(item.outcome or "unfinished") + (", emergency" if item.id in forced else "")
                origin = item.stable_version or "nothing"
                started = item.started_at[:19].replace("T", " ")
                table.add_row(
                    str(item.id), item.action, origin, item.version, told, started, item.by, item.report or ""
                )
            self._terminal.table(table)
            figures = self._measures(store)
            serves = served.last(store)
            owes = outstanding.look(self._environment, store, serves.digest if serves else None, datetime.now(UTC))
            for line in owes.lines:
                self._terminal.say(line)
            rest = {"debts": owes.debts, "checklist": owes.checklist, **figures}
            return {
                "environment": self._environment.name,
                "deployments": [row_of(item) | {"emergency": forced.get(item.id, "")} for item in rows],
                **rest,
            }
        found = next((item for item in rows if item.id == deployment), None)
        if found is None:
            raise UsageError(f"no deployment {deployment} here", next_step="leave the number away to see all")
        self._terminal.say(
            f"deployment {found.id}  {found.action} {found.stable_version or 'nothing'} → {found.version}  "
            f"{found.outcome or 'unfinished'}  by {found.by}"
        )
        for text in found.reasons:
            self._terminal.say(f"  why     {text}")
        owes = outstanding.of_deployment(self._environment, store, found, datetime.now(UTC))
        for line in owes.lines:
            self._terminal.say(line)
        events = store.events(found.id)
        for event in events:
            self._terminal.say(f"  {event.at[11:23]}  {event.step:<24}{event.kind}")
        watched = standings.past(self._environment, store, found, datetime.now(UTC))
        for tick in watched.standing.ticks if watched is not None else ():
            self._terminal.say(f"  {standings.line(tick)}")
        if watched is not None:
            self._terminal.say(f"  monitoring  {watched}")
        if found.report:
            self._terminal.say(f"  report  {found.report}")
        journal = [{"at": event.at, "step": event.step, "kind": event.kind} for event in events]
        stands = standings.document(watched.standing) if watched is not None else None
        checklist = owes.checklist if owes.recorded else None
        words = {"signoffs": owes.signoffs, "checklist": checklist, "debts": owes.debts}
        return {**row_of(found), **words, "journal": journal, "monitoring": stands}

    def _measures(self, store: Store) -> Document:
        """What deployments here are like, and what the team says they were before."""
        from gate.report import index

        found = dora.measures(courses.read(store), datetime.now(UTC))
        self._terminal.say("")
        for item in found:
            told = f"{index.value(item):<12}n = {item.n}" if item.value is not None else f"– {item.missing}"
            self._terminal.say(f"{item.title:<30}{told}")
        before = self._environment.baseline.model_dump(exclude_none=True)
        return {
            "measures": {item.name: {**vars(item), "window_days": dora.WINDOW.days} for item in found},
            "baseline": before,
            "gaps": {str(name): vars(many) for name, many in gaps.tally(Ledger(store).gaps()).items()},
        }

    def replay(self, deployment: int, rules_file: Path | None) -> Document:
        """Judges a past deployment again, by the environment's rules or those of a file."""
        from gate.evidence import replay

        rules = replay.rules_of(rules_file) if rules_file is not None else self._environment.all_rules
        found = next((item for item in Store.of(self._environment).deployments() if item.id == deployment), None)
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
        place = source(self._environment)
        stable = engines.create(self._environment).stable()
        rows: list[dict[str, Any]] = []
        for version in place.versions():
            release = place.get(version)
            found = faults_of(release.folder)
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

    def backups(self) -> Document:
        """Backups that can be restored, newest first."""
        from gate.database import backup, restoring
        from gate.database.dump import size

        found = backup.available(restoring.folder_of(self._environment))
        table = Table(box=None, pad_edge=False)
        for column in ("backup", "age", "size", "schema", "rows", ""):
            table.add_column(column)
        rows = []
        for made in found:
            held = sum(item.rows for item in made.tables.values())
            table.add_row(
                made.id, restoring.age(made), size(made.bytes), made.schema_head or "", str(held), _doubt(made)
            )
            rows.append(
                {
                    "id": made.id,
                    "taken_at": made.taken_at.isoformat(),
                    "bytes": made.bytes,
                    "schema_head": made.schema_head,
                    "rows": held,
                    "verified_at": made.verified_at or None,
                    "file": str(made.file),
                }
            )
        if found:
            self._terminal.table(table)
        else:
            self._terminal.say("No backup yet: every deployment makes one.")
        return {"environment": self._environment.name, "backups": rows}


def _doubt(made: Backup) -> str:
    return "" if made.verified_at else "never proven"
