"""Migrations by the team's own commands, run in the release's folder; the contract stands in docs/migrations.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gate.config import CommandTool
from gate.database import release_process
from gate.database.child import OFFLINE
from gate.database.connection import scrubbed
from gate.database.marks import Mark
from gate.database.migrations import Migration, Ran, failed, not_below, unknown
from gate.database.patience import LOCK_NOT_AVAILABLE, Patience
from gate.database.tools import Here, Tools
from gate.errors import DatabaseError, ShellError
from gate.machine import shell
from gate.redact import Secret
from gate.releases import Release

TRY_AGAIN = 75
"""The exit code (EX_TEMPFAIL) by which a command says that it got no lock, and changed nothing."""

NONE = "none"
"""What stands for no revision: silence could be a command that broke."""

_REVISION = re.compile(r"\w[\w.+/@-]*")

# Nothing listens there: who answers all the same does not take its database from DATABASE_URL.
_NOWHERE = Secret("postgresql://nobody@127.0.0.1:1/nowhere")
_NOWHERE_TIMEOUT = 20.0  # seconds


class _Item(BaseModel):
    """One revision, as a command may describe it in JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    title: str = ""
    file: str = ""
    has_downgrade: bool = True
    marks: tuple[Mark, ...] = Field((), strict=False)


_ITEMS = TypeAdapter(list[_Item | str])


class CommandMigrations:
    """``Migrations`` of a release that is migrated by commands."""

    def __init__(self, release: Release, tool: CommandTool, patience: Patience, tools: Tools | None = None) -> None:
        self._tools = tools or Here(release)
        self._release = release
        self._tool = tool
        self._patience = patience

    def revisions(self) -> list[Migration]:
        return list(self._revisions)

    def head(self) -> str | None:
        return self._revisions[-1].id if self._revisions else None

    def knows(self, revision: str) -> bool:
        return revision in self._ids

    def current(self, url: Secret) -> str | None:
        return self._current(url, self._online(url), self._tool.timeout)

    def pending(self, url: Secret) -> list[Migration]:
        current = self._known_current(url)
        expected = self._ids[self._above(current) :]
        said = [item.id for item in self._revisions_of("pending", url, self._online(url), self._tool.timeout)]
        if said != expected:
            raise DatabaseError(
                f"{self._named('pending')} says {', '.join(said) or NONE}; by `revisions`, with `current` at "
                f"{current or NONE}, it is {', '.join(expected) or NONE}",
                next_step="let the three commands of [database.migrations] speak of the same migrations",
            )
        return self.revisions()[self._above(current) :]

    def upgrade(self, url: Secret) -> list[Ran]:
        pending = self.pending(url)
        self._demand_obedience()
        ran: list[Ran] = []
        at = 0
        for item in pending:
            if self._above(item.id) > at:  # else a tool that only knows the whole way has been there already
                took = self._run(url, "up", item)
                at = self._above(self._known_current(url))
                if at < self._above(item.id):
                    raise self._no_move(url, "up", item)
                ran.append(took)
        return ran

    def downgrade(self, url: Secret, to: str | None) -> list[Ran]:
        current = self._known_current(url)
        if self._above(to) > self._above(current):
            raise not_below(url, current, to or NONE)
        ways_back = self.revisions()[self._above(to) : self._above(current)][::-1]
        self._demand_obedience()
        ran = []
        for item in ways_back:
            if self._tool.down is None:
                reason = f"[database.migrations] of {self._release.version} has no command `down`"
                raise failed(f"down of {item.id}", reason, revision=item.id, current=lambda: self.current(url))
            took = self._run(url, "down", item)
            if self._above(self._known_current(url)) != self._above(item.id) - 1:
                raise self._no_move(url, "down", item)
            ran.append(took)
        return ran

    def sql(self, url: Secret, start: str | None) -> str:  # noqa: ARG002 - another tool needs it
        if self._tool.sql is None:
            raise DatabaseError("[database.migrations] sql: no command says which SQL would run")
        env = release_process.offline(OFFLINE, self._tool.env)
        said = self._ask("sql", OFFLINE, env, self._tool.timeout, start=start or NONE)
        if not said and start != self.head():
            raise DatabaseError(f"{self._named('sql')} printed nothing")
        return said

    def after(self, state: str | None, migration: Migration) -> str:  # noqa: ARG002 - another tool needs it
        return migration.id

    @cached_property
    def _revisions(self) -> list[Migration]:
        env = release_process.offline(OFFLINE, self._tool.env)
        return self._revisions_of("revisions", OFFLINE, env, self._tool.timeout)

    @property
    def _ids(self) -> list[str]:
        return [item.id for item in self._revisions]

    def _above(self, revision: str | None) -> int:
        """How many revisions lie below the state after ``revision``."""
        return 0 if revision is None else self._ids.index(revision) + 1

    def _current(self, url: Secret, env: Mapping[str, str], timeout: float) -> str | None:
        said = self._revisions_of("current", url, env, timeout)
        if len(said) > 1:
            raise DatabaseError(f"{self._named('current')} printed {len(said)} revisions; print the last applied one")
        return said[0].id if said else None

    def _known_current(self, url: Secret) -> str | None:
        current = self.current(url)
        if current is not None and not self.knows(current):
            raise unknown(url, self._release, current, self.head())
        return current

    def _demand_obedience(self) -> None:
        """A command that has its own idea of where the database is would have the dry run migrate the live one."""
        try:
            self._current(_NOWHERE, release_process.offline(_NOWHERE, self._tool.env), _NOWHERE_TIMEOUT)
        except DatabaseError:
            return
        raise DatabaseError(
            f"{self._named('current')} answers although DATABASE_URL leads nowhere: it asks another database",
            next_step="let every command of [database.migrations] take its database from DATABASE_URL alone",
        )

    def _run(self, url: Secret, key: str, item: Migration) -> Ran:
        """Runs ``up`` or ``down`` of a revision, again while it gets no lock. Raises MigrationFailed."""

        def once() -> Ran:
            what = f"{key} of {item.id}" + (f" ({item.file})" if item.file else "")
            try:
                finished = self._start(key, self._online(url), self._tool.timeout, revision=item.id)
            except ShellError as fault:
                raise failed(what, str(fault), revision=item.id, current=lambda: self.current(url)) from None
            if finished.code == 0:
                return Ran(item.id, round(finished.seconds, 4))
            raise failed(
                what,
                _reason(url, finished),
                revision=item.id,
                current=lambda: self.current(url),
                sqlstate=LOCK_NOT_AVAILABLE if finished.code == TRY_AGAIN else None,
            )

        return self._patience.again(once)

    def _no_move(self, url: Secret, key: str, item: Migration) -> DatabaseError:
        reason = f"{self._named(key)} ended with 0, but did not do it"
        return failed(f"{key} of {item.id}", reason, revision=item.id, current=lambda: self.current(url))

    def _revisions_of(self, key: str, url: Secret, env: Mapping[str, str], timeout: float) -> list[Migration]:
        """The revisions a command prints: a JSON list, or one id a line. Raises DatabaseError for anything else."""
        said = self._ask(key, url, env, timeout)
        if said == NONE:
            return []
        try:
            items = _ITEMS.validate_json(said) if said.startswith("[") else list(said.splitlines())
        except ValidationError:
            items = [""]
        found = [item if isinstance(item, _Item) else _Item(id=item.strip()) for item in items]
        ids = [item.id for item in found]
        if (not ids and not said) or len(set(ids)) < len(ids) or not all(_REVISION.fullmatch(item) for item in ids):
            shown = scrubbed(url, said[:60])
            raise DatabaseError(
                f"{self._named(key)} printed {shown!r}: print one revision a line, or a JSON list, or {NONE}",
                next_step="docs/migrations.md says what each command prints",
            )
        return [
            Migration(
                item.id, item.title, item.has_downgrade and self._tool.down is not None, item.file, tuple(item.marks)
            )
            for item in found
        ]

    def _ask(self, key: str, url: Secret, env: Mapping[str, str], timeout: float, **values: str) -> str:
        """What a command that changes nothing prints. Raises DatabaseError."""
        try:
            finished = self._start(key, env, timeout, **values)
        except ShellError as fault:
            raise DatabaseError(f"{self._named(key)}: {fault}") from None
        if finished.code:
            raise DatabaseError(f"{self._named(key)}: {_reason(url, finished)}")
        return finished.out.strip()

    def _start(self, key: str, env: Mapping[str, str], timeout: float, **values: str) -> shell.Finished:
        known = {"python": self._tools.python, "folder": self._tools.folder, "version": self._release.version}
        argv = [shell.fill(word, known | values) for word in getattr(self._tool, key)]
        return self._tools.command(argv, env=env, timeout=timeout)

    def _online(self, url: Secret) -> dict[str, str]:
        return release_process.online(url, self._patience, self._tool.env)

    def _named(self, key: str) -> str:
        """The key of a command and what it says, for messages."""
        return f"[database.migrations] {key} ({' '.join(getattr(self._tool, key))})"


def _reason(url: Secret, finished: shell.Finished) -> str:
    said = (finished.err.strip() or finished.out.strip()).splitlines()
    return scrubbed(url, f"exit code {finished.code}" + (f": {said[-1]}" if said else ""))
