"""Migrations as plain SQL files, run by the gate itself: each in a transaction with the note that it was applied."""

from __future__ import annotations

from functools import cached_property

from gate.config import SqlTool
from gate.database import sql_files
from gate.database.connection import where
from gate.database.migrations import Migration, Ran, failed, not_below, unknown
from gate.database.patience import Patience
from gate.database.sql_files import Script, Step
from gate.database.sql_runner import ScriptFailed, SqlRunner, Way
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.releases import Release


class SqlMigrations:
    """``Migrations`` of a release that carries a folder of SQL files (see ``sql_files``)."""

    def __init__(self, release: Release, tool: SqlTool, patience: Patience) -> None:
        self._release = release
        self._folder = tool.folder
        self._patience = patience
        self._runner = SqlRunner(tool.table, patience)

    def revisions(self) -> list[Migration]:
        return [
            Migration(step.id, step.title, step.down is not None and step.down.acts, step.up.file)
            for step in self._steps
        ]

    def head(self) -> str | None:
        return self._steps[-1].id if self._steps else None

    def knows(self, revision: str) -> bool:
        return any(step.id == revision for step in self._steps)

    def current(self, url: Secret) -> str | None:
        return max(self._runner.applied(url), key=sql_files.order, default=None)

    def pending(self, url: Secret) -> list[Migration]:
        applied = self._fitting(url)
        return [item for item in self.revisions() if item.id not in applied]

    def upgrade(self, url: Secret) -> list[Ran]:
        applied = self._fitting(url)
        to_run = [step for step in self._steps if step.id not in applied]
        return [self._change(url, "upgrade", step, step.up) for step in to_run]

    def downgrade(self, url: Secret, to: str | None) -> list[Ran]:
        applied = self._known(url)
        if to is not None and to not in applied:
            raise not_below(url, self.current(url), to)
        to_run = []
        for step in reversed(self._steps):
            if step.id not in applied or (to is not None and sql_files.order(step.id) <= sql_files.order(to)):
                continue
            if step.down is None:
                what, reason = f"downgrade of {step.id} ({step.up.file})", f"there is no {step.id}.down.sql"
                raise failed(what, reason, revision=step.id, current=lambda: self.current(url))
            to_run.append((step, step.down))
        ran = [self._change(url, "downgrade", step, down) for step, down in to_run]
        if to is None:
            self._runner.drop_table_if_empty(url)
        return ran

    def sql(self, url: Secret, start: str | None) -> str:  # noqa: ARG002 - another tool needs it
        pending = [
            step.up for step in self._steps if start is None or sql_files.order(step.id) > sql_files.order(start)
        ]
        return "\n".join(f"BEGIN;\n{up.text}\n;\nCOMMIT;\n" if up.transaction else f"{up.text}\n;\n" for up in pending)

    def after(self, state: str | None, migration: Migration) -> str:  # noqa: ARG002 - another tool needs it
        return migration.id

    @cached_property
    def _steps(self) -> list[Step]:
        return sql_files.read(self._release.folder, self._folder)

    def _known(self, url: Secret) -> dict[str, str]:
        applied = self._runner.applied(url)
        strangers = sorted((item for item in applied if not self.knows(item)), key=sql_files.order)
        if strangers:
            raise unknown(url, self._release, strangers[-1], self.head())
        return applied

    def _fitting(self, url: Secret) -> dict[str, str]:
        """What was applied, as far as it is what the release carries: same files, and none left out below another."""
        applied = self._known(url)
        for step in self._steps:
            if step.id in applied and applied[step.id] != step.checksum:
                raise DatabaseError(
                    f"release {self._release.version}: {step.up.file} was changed after it was applied to {where(url)}",
                    next_step="put the file back as it was, and write the change as a migration of its own",
                )
        last = max(applied, key=sql_files.order, default=None)
        for step in self._steps:
            if last is not None and step.id not in applied and sql_files.order(step.id) < sql_files.order(last):
                raise DatabaseError(
                    f"release {self._release.version}: {step.up.file} was never applied, but {last} after it was",
                    next_step="give it a number above all applied ones",
                )
        return applied

    def _change(self, url: Secret, command: Way, step: Step, script: Script) -> Ran:
        def once() -> Ran:
            try:
                return Ran(step.id, self._runner.run(url, command, step, script))
            except ScriptFailed as fault:
                what = f"{command} of {step.id} ({script.file})"
                raise failed(
                    what,
                    str(fault),
                    revision=step.id,
                    current=lambda: self.current(url),
                    sqlstate=fault.sqlstate,
                    whole=script.transaction,
                ) from None

        return self._patience.again(once)
