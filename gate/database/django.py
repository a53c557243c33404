"""Migrations by Django, run as a child process in the release's folder (see ``django_child``).

Each of a project's applications has migrations of its own. So a state of the database is named by the last applied one
of each, ``auth.0012_x shop.0003_y``, while a migration is named alone.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from gate.config import DjangoTool
from gate.database.child import OFFLINE, Child
from gate.database.migrations import Migration, Ran, not_below, unknown
from gate.database.patience import Patience
from gate.database.tools import Here, Tools
from gate.database.version_table import drop_if_empty
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.releases import Release

_CHILD = Path(__file__).with_name("django_child.py")


class DjangoMigrations:
    """``Migrations`` of a release that is a Django project."""

    def __init__(self, release: Release, tool: DjangoTool, patience: Patience, tools: Tools | None = None) -> None:
        tools = tools or Here(release)
        self._release = release
        self._patience = patience
        python = str(PurePosixPath(tools.folder, tool.python)) if tool.python else tools.python
        self._child = Child("django", tools, python, _CHILD, [tool.settings], release, patience, tool.env)

    def revisions(self) -> list[Migration]:
        return [
            Migration(item["id"], item["title"], item["has_downgrade"], item["file"])
            for item in self._facts["revisions"]
        ]

    def head(self) -> str | None:
        return " ".join(self._facts["heads"]) or None

    def knows(self, revision: str) -> bool:
        return {item.id for item in self.revisions()}.issuperset(revision.split())

    def current(self, url: Secret) -> str | None:
        return " ".join(self._applied(url)["state"]) or None

    def pending(self, url: Secret) -> list[Migration]:
        pending = self._known(url)["pending"]
        return [item for item in self.revisions() if item.id in pending]

    def upgrade(self, url: Secret) -> list[Ran]:
        return self._change(url, "upgrade", "") if self._known(url)["pending"] else []

    def downgrade(self, url: Secret, to: str | None) -> list[Ran]:
        found = self._known(url)
        current = " ".join(found["state"]) or None
        if to is not None and not set(found["applied"]).issuperset(to.split()):
            raise not_below(url, current, to)
        ran = self._change(url, "downgrade", to or "") if current != to else []
        if to is None:
            drop_if_empty(url, (found["table"][0], found["table"][1]), self._patience.lock_timeout)
        return ran

    def sql(self, url: Secret, start: str | None) -> str:
        return str(self._child.ask(url, "sql", start or "")[-1]["sql"])

    def after(self, state: str | None, migration: Migration) -> str:
        at = {name.partition(".")[0]: name for name in (state or "").split()}
        return " ".join({**at, migration.id.partition(".")[0]: migration.id}.values())

    @cached_property
    def _facts(self) -> dict[str, Any]:
        """The migrations and the last one of each application. Raises DatabaseError where one has two last ones."""
        facts = self._child.ask(OFFLINE, "facts", online=False)[0]
        if facts["conflicts"]:
            raise DatabaseError(
                f"release {self._release.version}: more than one last migration: {', '.join(facts['conflicts'])}; "
                "a release needs exactly one in each application",
                next_step="python manage.py makemigrations --merge",
            )
        return facts

    def _applied(self, url: Secret) -> dict[str, Any]:
        return self._child.ask(url, "current")[0]

    def _known(self, url: Secret) -> dict[str, Any]:
        found = self._applied(url)
        if found["ahead"]:
            raise unknown(url, self._release, found["ahead"][-1], self.head())
        return found

    def _change(self, url: Secret, command: str, to: str) -> list[Ran]:
        files = {item.id: item.file for item in self.revisions()}
        return self._child.change(url, command, to, files=files, current=lambda: self.current(url))
