"""Starts a script of ours in a process of the release, and reads what it answers.

The script (see ``release_child``) writes one JSON object a line into a file of answers: ``begin`` (and ``whole``, in
one transaction) and ``end`` of each revision, ``done``, or ``error`` with ``message``, ``sqlstate`` and ``at``, the
line of the release that failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.database import release_process
from gate.database.connection import scrubbed
from gate.database.migrations import Ran, failed
from gate.database.patience import Patience
from gate.database.tools import Tools
from gate.errors import DatabaseError
from gate.machine import shell
from gate.redact import Secret
from gate.releases import Release

_ASK_TIMEOUT = 60.0  # seconds: loading the release's migrations, reading its version table

# A URL where nothing is asked of a database; offline it only tells which dialect to write.
OFFLINE = Secret("postgresql://offline@localhost/offline")

Documents = list[dict[str, Any]]


@dataclass(frozen=True)
class Child:
    """``script`` is given what ``given`` holds and then a command; ``name`` is the tool's, for messages."""

    name: str
    tools: Tools
    python: str
    script: Path
    given: Sequence[str]
    release: Release
    patience: Patience
    env: Mapping[str, Secret] = field(default_factory=dict)

    def ask(self, url: Secret, *arguments: str, online: bool = True) -> Documents:
        """What a command that changes nothing answers. Raises DatabaseError."""
        finished, documents = self._run(url, arguments, timeout=_ASK_TIMEOUT, online=online)
        if finished is None or finished.code or not documents:
            reason = _reason(url, documents, finished)
            raise DatabaseError(f"release {self.release.version}: {self.name} {arguments[0]} failed: {reason}")
        return documents

    def change(
        self, url: Secret, command: str, to: str, *, files: Mapping[str, str], current: Callable[[], str | None]
    ) -> list[Ran]:
        """Runs a command that changes the database, again while a lock does not come.

        ``files`` has each revision's file, ``current`` tells where a failure left the database. Raises MigrationFailed.
        """
        return self.patience.again(lambda: self._change(url, command, to, files, current))

    def _change(
        self, url: Secret, command: str, to: str, files: Mapping[str, str], current: Callable[[], str | None]
    ) -> list[Ran]:
        finished, documents = self._run(url, (command, to), timeout=self.patience.statement_timeout * 10, online=True)
        if finished is not None and not finished.code and documents and "done" in documents[-1]:
            return [Ran(item["end"], item["seconds"]) for item in documents if "end" in item]
        begun = [item for item in documents if "begin" in item]
        ended = [item for item in documents if "end" in item]
        failing = begun[-1] if len(begun) > len(ended) else {}
        revision = failing.get("begin")
        raise failed(
            f"{command} of {revision} ({files.get(revision)})" if revision else command,
            _reason(url, documents, finished),
            revision=revision,
            current=current,
            sqlstate=next((item.get("sqlstate") for item in documents if "error" in item), None),
            whole=failing.get("whole", True),
        ) from None

    def _run(
        self, url: Secret, arguments: Sequence[str], *, timeout: float, online: bool
    ) -> tuple[shell.Finished | None, Documents]:
        """How the script ended (None: it was too slow) and what it answered until then."""
        env = release_process.online(url, self.patience, self.env) if online else release_process.offline(url, self.env)
        finished, answers = self.tools.script(
            self.python, self.script, [*self.given, *arguments], env=env, timeout=timeout
        )
        lines = answers.splitlines(keepends=True)
        return finished, [json.loads(line) for line in lines if line.endswith("\n")]


def _reason(url: Secret, documents: Documents, finished: shell.Finished | None) -> str:
    fault = next((item for item in documents if "error" in item), None)
    if fault is not None:
        place = f" ({fault['at']})" if fault.get("at") else ""
        return scrubbed(url, f"{fault['error']}: {fault['message']}{place}")
    if finished is None:
        return "it did not end in time"
    said = finished.err.strip().splitlines()
    return scrubbed(url, said[-1] if said else f"exit code {finished.code}")
