"""What was done to the database, for the decision record."""

from __future__ import annotations

from gate.database.invariants import Invariant
from gate.deployment.run import Run
from gate.report.record import (
    BackupRecord,
    InvariantRecord,
    InvariantRun,
    MigrationsRecord,
    RevisionRecord,
)


def backup_of(run: Run) -> BackupRecord | None:
    made = run.evidence.backup
    if made is None:
        return None
    return BackupRecord(**{key: value for key, value in made.items() if key != "schema_head"})


def migrations_of(run: Run) -> MigrationsRecord | None:
    done = run.evidence.migrations
    if done is None:
        return None
    revisions = tuple(
        RevisionRecord(item["id"], item["title"], item["seconds"], item["kind"]) for item in done["revisions"]
    )
    return MigrationsRecord(done["from"], done["to"], tuple(revisions), way_back=done.get("way_back", ""))


def invariants_of(moment: str, found: list[Invariant], error: str) -> InvariantRun:
    results = [
        InvariantRecord(item.name, item.rows, tuple(map(str, item.sample)), round(item.seconds, 4)) for item in found
    ]
    if error:
        results.append(InvariantRecord("all of them", 0, error=error))
    return InvariantRun(moment, tuple(results))
