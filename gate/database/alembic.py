"""Migrations by Alembic, run as a child process in the release's folder (see ``alembic_child``)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gate.config import AlembicTool
from gate.database.child import OFFLINE, Child
from gate.database.connection import connect, where
from gate.database.migrations import Migration, Ran, not_below, unknown
from gate.database.patience import Patience
from gate.database.tools import Here, Tools
from gate.database.version_table import Names, drop_if_empty, exists
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.releases import Release

_CHILD = Path(__file__).with_name("alembic_child.py")
_BASE = "base"


@dataclass
class _Known:
    """What one release's files say; a built release never changes, so that it is asked once."""

    facts: dict[str, Any] | None = None
    version_table: Names | None = None


_KNOWN: dict[tuple[Path, str, str], _Known] = {}


class AlembicMigrations:
    """``Migrations`` of a release that carries an ``alembic.ini``."""

    def __init__(self, release: Release, tool: AlembicTool, patience: Patience, tools: Tools | None = None) -> None:
        tools = tools or Here(release)
        self._release = release
        self._config = tool.config
        self._patience = patience
        self._child = Child("alembic", tools, tools.python, _CHILD, [tool.config], release, patience)
        self._known = _KNOWN.setdefault((release.folder, release.digest, tool.config), _Known())

    def revisions(self) -> list[Migration]:
        return [
            Migration(item["id"], item["title"], item["has_downgrade"], item["file"])
            for item in self._facts["revisions"]
        ]

    def head(self) -> str | None:
        heads: list[str] = self._facts["heads"]
        return heads[0] if heads else None

    def knows(self, revision: str) -> bool:
        return revision in self._parents

    def current(self, url: Secret) -> str | None:
        applied = self._applied(url)
        if len(applied) > 1:
            raise DatabaseError(f"{where(url)} is at {len(applied)} revisions at once: {', '.join(sorted(applied))}")
        return applied[0] if applied else None

    def pending(self, url: Secret) -> list[Migration]:
        applied = self._ancestors(self._known_current(url))
        return [item for item in self.revisions() if item.id not in applied]

    def upgrade(self, url: Secret) -> list[Ran]:
        current = self._known_current(url)
        head = self.head()
        if head is None or head == current:
            return []
        return self._change(url, "upgrade", head)

    def downgrade(self, url: Secret, to: str | None) -> list[Ran]:
        current = self._known_current(url)
        if to is not None and to not in self._ancestors(current):
            raise not_below(url, current, to)
        ran = self._change(url, "downgrade", to or _BASE) if current != to else []
        if to is None and self._known.version_table is not None:
            drop_if_empty(url, self._known.version_table, self._patience.lock_timeout)
        return ran

    def sql(self, url: Secret, start: str | None) -> str:  # noqa: ARG002 - another tool needs it
        answer = self._child.ask(OFFLINE, "sql", start or _BASE, online=False)
        return str(answer[-1]["sql"])

    def after(self, state: str | None, migration: Migration) -> str:  # noqa: ARG002 - another tool needs it
        return migration.id

    @property
    def _facts(self) -> dict[str, Any]:
        """The revisions and the head. Raises DatabaseError for more heads than one."""
        known = self._known
        if known.facts is None:
            known.facts = self._child.ask(OFFLINE, "facts", online=False)[0]
        heads = known.facts["heads"]
        if len(heads) > 1:
            raise DatabaseError(
                f"release {self._release.version}: {self._config} has {len(heads)} heads: {', '.join(sorted(heads))}; "
                "a release needs exactly one",
                next_step=f"alembic -c {self._config} merge heads",
            )
        return known.facts

    def _applied(self, url: Secret) -> list[str]:
        """The revisions in the database's version table; which table that is, the release's env.py says once."""
        from psycopg import sql

        known = self._known
        if known.version_table is None:
            facts, answer = self._child.ask(url, "current")
            known.facts, known.version_table = facts, tuple(answer["version_table"])
            return list(answer["applied"])
        with connect(url) as connection:
            if not exists(connection, known.version_table):
                return []
            table = sql.Identifier(*known.version_table)
            return [row[0] for row in connection.execute(sql.SQL("SELECT version_num FROM {}").format(table))]

    @property
    def _parents(self) -> dict[str, list[str]]:
        return {item["id"]: item["parents"] for item in self._facts["revisions"]}

    def _ancestors(self, revision: str | None) -> set[str]:
        """A revision and everything below it."""
        found: set[str] = set()
        left = deque([revision] if revision else [])
        while left:
            item = left.popleft()
            if item not in found:
                found.add(item)
                left.extend(self._parents[item])
        return found

    def _known_current(self, url: Secret) -> str | None:
        current = self.current(url)
        if current is not None and not self.knows(current):
            raise unknown(url, self._release, current, self.head())
        return current

    def _change(self, url: Secret, command: str, to: str) -> list[Ran]:
        files = {item.id: item.file for item in self.revisions()}
        return self._child.change(url, command, to, files=files, current=lambda: self.current(url))
