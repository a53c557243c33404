"""Migrate: the candidate's pending migrations, while the release that serves keeps serving on the new schema."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gate.deployment.run import Facts, Run
from gate.errors import DatabaseError, OperationFailed
from gate.judging.way_back import WayBack
from gate.steps.base import Step, StepFailed

if TYPE_CHECKING:
    from gate.database.migrations import Migration


class Migrate(Step):
    """Upgrades the schema.

    The undo downgrades as long as no user's request reached the candidate. Afterwards the schema stays where the
    earlier release lives on it, for a downgrade would drop what users wrote. Where it does not, users wait (``Pause``),
    what the downgrade drops is kept aside, and the schema goes back; or there is no way back, as was signed for.
    """

    name = "migrate"

    def intend(self, run: Run) -> Facts:
        tool = run.migrations()
        database = run.environment.database
        if tool is None or database is None:
            return {}
        from gate.database import fingerprint

        return {
            "from": tool.current(database.url),
            "schema": fingerprint.schema(database.url),
            "way_back": run.way_back.facts(),
        }

    def do(self, run: Run, facts: Facts) -> str:
        tool = run.migrations()
        database = run.environment.database
        if tool is None or database is None:
            return "no migrations in this environment"
        pending = tool.pending(database.url)
        if not pending:
            run.evidence.migrations = {"from": facts["from"], "to": facts["from"], "revisions": []}
            return f"nothing pending, schema at {facts['from']}"
        began = time.monotonic()
        run.view.progress(", ".join(item.id for item in pending))
        try:
            ran = {item.id: item.seconds for item in tool.upgrade(database.url)}
        except DatabaseError as fault:
            raise StepFailed(f"migration failed: {fault}") from None
        reached = tool.current(database.url)
        run.evidence.migrations = {
            "from": facts["from"],
            "to": reached,
            "seconds": round(time.monotonic() - began, 3),
            "way_back": str(run.way_back),
            "revisions": [
                {"id": item.id, "title": item.title, "seconds": ran.get(item.id), "kind": _kind(run, item)}
                for item in pending
            ],
        }
        if reached != tool.head():
            raise StepFailed(f"after the migration the schema is at {reached}, expected {tool.head()}")
        return f"{facts['from'] or 'empty'} → {reached}"

    def undo(self, run: Run, facts: Facts) -> str:
        tool = run.migrations()
        database = run.environment.database
        if tool is None or database is None or not facts:
            return "nothing to undo"
        from gate.database import fingerprint

        way_back = WayBack.of(facts.get("way_back"))
        current = tool.current(database.url)
        reached = run.journal.began("canary") or run.journal.began("promote")
        if way_back.lives and reached:
            return f"schema kept at {current}: users may have written to it, and the earlier release lives on it"
        if current != facts["from"]:
            if way_back.forward_only:
                run.stuck = True
                raise OperationFailed(f"the schema stays at {current}: there is no way back from it")
            if not way_back.leads_back:
                return f"schema kept at {current}: it cannot be taken back, and the earlier release lives on it"
            if reached:
                _keep_aside(run, facts["schema"])
            tool.downgrade(database.url, facts["from"])
        left = fingerprint.difference(facts["schema"], fingerprint.schema(database.url))
        if left:
            run.note(f"the schema is not as it was before: {'; '.join(left[:5])}")
            return f"back at {facts['from']}, but {len(left)} differences are left"
        return f"back at {facts['from'] or 'an empty schema'}, equal to before"


def _keep_aside(run: Run, before: list[str]) -> None:
    """Writes what the downgrade will drop to files, and says where. Raises DatabaseError: then nothing is dropped."""
    from gate.database import aside

    database = run.environment.database
    if database is None:
        return
    folder = run.environment.state_folder / "aside" / run.candidate_id
    for kept in aside.keep(database.url, before, folder):
        run.note(f"kept aside before the downgrade drops it: {kept.file} ({kept.rows} rows)")


def _kind(run: Run, migration: Migration) -> str:
    """What a migration is to the earlier release, by its marks: the checks let no other contract pass."""
    from gate.database import marks

    found = marks.of(run.release.folder, migration)
    if marks.Mark.CONTRACT in found:
        return "contract"
    return "irreversible" if found or not migration.has_downgrade else "expand"
