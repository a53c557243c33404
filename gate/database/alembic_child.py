"""Alembic, asked and told by the gate, in a process of the release.

The work of ``release_child``; its commands are

    facts              the revisions, oldest first, and the heads
    current            the facts, the database's heads and the table they stand in
    upgrade REVISION   up to a revision; an event at the start and the end of each one
    downgrade REVISION down to a revision, or ``base``
    sql FROM           the SQL of an upgrade from a revision (or ``base``) to the head
"""

from __future__ import annotations

import ast
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory


class _Alembic:
    def __init__(self, file: str, gate: Any) -> None:
        self.config = Config(file, stdout=sys.stderr)
        self.script = ScriptDirectory.from_config(self.config)
        self.gate = gate

    def facts(self) -> None:
        found = [
            {
                "id": item.revision,
                "parents": list(item._all_down_revisions),
                "title": (item.doc or "").strip(),
                "file": os.path.relpath(item.path),
                "has_downgrade": _has_downgrade(Path(item.path)),
            }
            for item in self.script.walk_revisions()
        ]
        self.gate.tell(revisions=found[::-1], heads=list(self.script.get_heads()))

    def current(self) -> None:
        self.facts()

        def read(heads: Any, context: Any) -> list[Any]:
            self._check_target(context.connection)
            schema = (
                context.version_table_schema or context.connection.exec_driver_sql("SELECT current_schema()").scalar()
            )
            self.gate.tell(applied=list(heads), version_table=[schema, context.version_table])
            return []

        self._run(read, dont_mutate=True)

    def upgrade(self, revision: str) -> None:
        self._steps(lambda heads: self.script._upgrade_revs(revision, heads))

    def downgrade(self, revision: str) -> None:
        self._steps(lambda heads: self.script._downgrade_revs(revision, heads))

    def sql(self, start: str) -> None:
        written = io.StringIO()
        self.config.output_buffer = written
        self._run(
            lambda heads, context: self.script._upgrade_revs("head", heads),  # noqa: ARG005 - Alembic's signature
            as_sql=True,
            starting_rev=start,
            destination_rev="head",
        )
        self.gate.tell(sql=written.getvalue())

    def _steps(self, plan: Callable[[Any], list[Any]]) -> None:
        def run(heads: Any, context: Any) -> Iterator[Any]:
            # Alembic runs each step before it asks for the next: what follows a yield is the end of that step.
            self._check_target(context.connection)
            for step in plan(heads):
                revision = getattr(getattr(step, "revision", None), "revision", "")
                self.gate.tell(begin=revision)
                began = time.monotonic()
                yield step
                self.gate.tell(end=revision, seconds=round(time.monotonic() - began, 4))

        self._run(run)
        self.gate.tell(done=True)

    def _check_target(self, connection: Any) -> None:
        self.gate.check_target("env.py", lambda query: connection.exec_driver_sql(query).scalar())
        for name, value in self.gate.settings:
            connection.exec_driver_sql(f"SELECT set_config('{name}', '{value}', false)")

    def _run(self, work: Callable[[Any, Any], Any], **options: Any) -> None:
        with EnvironmentContext(self.config, self.script, fn=work, **options):
            self.script.run_env()


def _has_downgrade(file: Path) -> bool:
    """Whether ``downgrade`` does something; where ``upgrade`` does nothing (a merge), it need not."""
    tree = ast.parse(file.read_bytes())
    bodies = {item.name: item.body for item in tree.body if isinstance(item, ast.FunctionDef)}
    if "downgrade" not in bodies:
        return False
    return _acts(bodies["downgrade"]) or not _acts(bodies.get("upgrade", []))


def _acts(body: list[ast.stmt]) -> bool:
    for statement in body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Raise() | ast.Return(value=None | ast.Constant()):
                return False
            case _:
                return True
    return False


_COMMANDS: dict[str, Callable[..., None]] = {
    "facts": _Alembic.facts,
    "current": _Alembic.current,
    "upgrade": _Alembic.upgrade,
    "downgrade": _Alembic.downgrade,
    "sql": _Alembic.sql,
}


def run(gate: Any, file: str, command: str, *arguments: str) -> None:
    """Does a command with the Alembic of ``file``, the release's alembic.ini."""
    _COMMANDS[command](_Alembic(file, gate), *arguments)
