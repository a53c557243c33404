"""Backup: of the database, proven by restoring it and comparing every table, before anything is changed."""

from __future__ import annotations

import time
from collections.abc import Iterable

from gate.database.restoring import folder_of
from gate.deployment.run import Facts, Run
from gate.records.store import Store
from gate.steps.base import Step


class Backup(Step):
    """Makes and verifies a backup. Its undo keeps it: a backup taken is never a reason to throw it away."""

    name = "backup"

    def do(self, run: Run, facts: Facts) -> str:
        if run.environment.database is None:
            return "no database in this environment"
        if run.options.without_backup:
            return "not made: --without-backup"
        from gate.database import backup

        folder = folder_of(run.environment)
        began = time.monotonic()
        tool = run.migrations()
        head = tool.current(run.environment.database.url) if tool is not None else None
        made = backup.create(run.environment, folder, label=run.candidate_id, head=head, progress=run.view.progress)
        verified = backup.verify(made, run.environment, progress=run.view.progress)
        run.evidence.backup = {
            "id": made.id,
            "file": str(made.file),
            "bytes": made.bytes,
            "sha256": made.sha256,
            "seconds": round(made.seconds, 3),
            "verified_seconds": round(verified.seconds, 3),
            "tables": verified.tables,
            "rows": verified.rows,
            "schema_head": made.schema_head,
        }
        pinned = {made.id} | undecided(run.store, (item.id for item in backup.available(folder)))
        pinned |= {run.restoring.backup.id} if run.restoring is not None else set()
        kept = run.environment.retention
        backup.prune(folder, kept.backups, pinned=pinned, days=kept.backup_days)
        size = f"{made.bytes / 2**20:.1f} MB" if made.bytes >= 2**20 else f"{made.bytes / 2**10:.0f} kB"
        spent = time.monotonic() - began
        why = f" ({made.why})" if made.why else ""
        return f"{size}, {verified.how} in {spent:.1f} s{why}"

    def undo(self, run: Run, facts: Facts) -> str:
        return "the backup is kept" if run.evidence.backup else ""


def undecided(store: Store, backups: Iterable[str]) -> set[str]:
    """Those of these backups that a run made which has not ended, and may still need them. Raises OperationFailed."""
    runs = tuple(f"-r{item.id}" for item in store.deployments() if item.ended_at is None)
    return {name for name in backups if name.endswith(runs)} if runs else set()
