"""Alembic, asked and told by the gate, in a process of the release: the gate never imports a team's modules.

Run as ``python -P alembic_child.py ANSWERS alembic.ini COMMAND …`` with the release's folder as working directory.
Every line of the file ANSWERS is one JSON object, there as soon as it is known, also when this process is killed.

    facts              the revisions, oldest first, and the heads
    current            the facts, the database's heads and the table they stand in
    upgrade REVISION   up to a revision; an event at the start and the end of each one
    downgrade REVISION down to a revision, or ``base``
    sql FROM           the SQL of an upgrade from a revision (or ``base``) to the head

Only the standard library and the release's own Alembic are imported: the gate is not on this process's path.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

PR_SET_PDEATHSIG = 1


class WrongDatabase(Exception):  # noqa: N818 - the gate shows this name
    """env.py connected to another database than DATABASE_URL names."""


def main(arguments: list[str]) -> int:
    _die_with_the_gate()
    sys.path.insert(0, str(Path.cwd()))
    answers, file, command, *rest = arguments
    with Path(answers).open("w", encoding="utf-8", buffering=1) as out:
        try:
            _COMMANDS[command](_Alembic(file, out), *rest)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - many an env.py ends the process: say so as well
            original = getattr(fault, "orig", None) or fault
            state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
            text = (str(original).strip() or type(original).__name__).splitlines()[0]
            _emit(out, error=type(original).__name__, message=text, sqlstate=state, at=_place(fault))
            return 1
    return 0


class _Alembic:
    def __init__(self, file: str, out: TextIO) -> None:
        self.config = Config(file, stdout=sys.stderr)
        self.script = ScriptDirectory.from_config(self.config)
        self.out = out

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
        _emit(self.out, revisions=found[::-1], heads=list(self.script.get_heads()))

    def current(self) -> None:
        self.facts()

        def read(heads: Any, context: Any) -> list[Any]:
            _check_target(context.connection)
            schema = (
                context.version_table_schema or context.connection.exec_driver_sql("SELECT current_schema()").scalar()
            )
            _emit(self.out, applied=list(heads), version_table=[schema, context.version_table])
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
        _emit(self.out, sql=written.getvalue())

    def _steps(self, plan: Callable[[Any], list[Any]]) -> None:
        def run(heads: Any, context: Any) -> Iterator[Any]:
            # Alembic runs each step before it asks for the next: what follows a yield is the end of that step.
            _check_target(context.connection)
            for step in plan(heads):
                revision = getattr(getattr(step, "revision", None), "revision", "")
                _emit(self.out, begin=revision)
                began = time.monotonic()
                yield step
                _emit(self.out, end=revision, seconds=round(time.monotonic() - began, 4))

        self._run(run)
        _emit(self.out, done=True)

    def _run(self, work: Callable[[Any, Any], Any], **options: Any) -> None:
        with EnvironmentContext(self.config, self.script, fn=work, **options):
            self.script.run_env()


def _emit(out: TextIO, **document: Any) -> None:
    out.write(json.dumps(document) + "\n")


def _die_with_the_gate() -> None:
    """A migration must not go on alone when the gate is killed: the next run would meet it half-way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ["GATE_PID"]):
        sys.exit("the gate is gone")


def _check_target(connection: Any) -> None:
    """An env.py that takes its URL from elsewhere would have the dry run migrate the live database."""
    expected = os.environ.get("GATE_DATABASE_IDENTITY")
    if expected is None:
        return
    found = str(connection.exec_driver_sql(os.environ["GATE_DATABASE_IDENTITY_SQL"]).scalar())
    if found != expected:
        raise WrongDatabase("env.py connects to another database than the variable DATABASE_URL names")


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


def _place(fault: BaseException) -> str:
    """``migrations/versions/0005_x.py:12``: the innermost line of the release's own files that failed."""
    here = str(Path.cwd()) + os.sep
    trace = inspect.getinnerframes(fault.__traceback__) if fault.__traceback__ else []
    places = [f"{item.filename.removeprefix(here)}:{item.lineno}" for item in trace if item.filename.startswith(here)]
    if isinstance(fault, SyntaxError) and fault.filename:
        places.append(f"{fault.filename.removeprefix(here)}:{fault.lineno}")
    return places[-1] if places else ""


_COMMANDS: dict[str, Callable[..., None]] = {
    "facts": _Alembic.facts,
    "current": _Alembic.current,
    "upgrade": _Alembic.upgrade,
    "downgrade": _Alembic.downgrade,
    "sql": _Alembic.sql,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
