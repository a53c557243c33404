"""Migrate: the candidate's pending migrations, while the release that serves keeps serving on the new schema."""

from __future__ import annotations

import time

from gate.errors import DatabaseError
from gate.run import Facts, Run
from gate.steps.base import Step, StepFailed


class Migrate(Step):
    """Upgrades the schema.

    The undo downgrades as long as no user's request reached the candidate. Afterwards the schema stays: the checks
    let only migrations pass that the earlier release can live with, and a downgrade would drop what users wrote.
    """

    name = "migrate"

    def intend(self, run: Run) -> Facts:
        tool = run.migrations()
        database = run.environment.database
        if tool is None or database is None:
            return {}
        from gate.database import fingerprint

        return {"from": tool.current(database.url), "schema": fingerprint.schema(database.url)}

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
            "revisions": [{"id": item.id, "title": item.title, "seconds": ran.get(item.id)} for item in pending],
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

        if run.journal.began("canary") or run.journal.began("promote"):
            return f"schema kept at {tool.current(database.url)}: users may have written to it, and it is additive"
        if tool.current(database.url) != facts["from"]:
            tool.downgrade(database.url, facts["from"])
        left = fingerprint.difference(facts["schema"], fingerprint.schema(database.url))
        if left:
            run.note(f"the schema is not as it was before: {'; '.join(left[:5])}")
            return f"back at {facts['from']}, but {len(left)} differences are left"
        return f"back at {facts['from'] or 'an empty schema'}, equal to before"
