"""A made-up project the checks run on: an environment file, releases with migrations, papers, a workflow.

``Project`` writes one in which everything is as it should be; each test changes what it is about.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

from gate import environments, releases
from gate.config import Environment
from gate.machine import shell
from gate.releases import Release
from gate.results import Case, SuiteResult
from gate.suites import suite
from gate.suites.context import CHECKS, Context

REPOSITORY = Path(__file__).resolve().parents[2]
# The suite is the project's own: its cases and fixtures are part of what is tested.
_OURS = ("checks", "fixtures", "conftest.py", "pytest.ini")

GOOD_WORKFLOW = """\
name: tests
on: push
permissions: {}
jobs:
  tests:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - run: echo "$PLACE"
        env:
          PLACE: ${{ vars.PLACE }}
"""
GOOD_RUNBOOK = (
    "# Runbook\n\n" + "What to do when the pager rings, step by step. " * 10 + "\n\n## Rolling back\n\nCall.\n"
)
GOOD_CHANGELOG = "# Changelog\n\n## [1.1.0] - 2026-11-24\n\n- Receipts carry a note.\n\n## [1.0.0]\n\n- First.\n"
GOOD_RESULTS = (
    '<testsuites><testsuite name="pytest" tests="2" failures="0" errors="0"><properties>'
    '<property name="commit" value="abc1234"/></properties>'
    '<testcase classname="t" name="one"/><testcase classname="t" name="two"><skipped/></testcase>'
    "</testsuite></testsuites>"
)

ENV_PY = """\
import os

from alembic import context
from sqlalchemy import create_engine

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    with create_engine(url).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
"""


def migration(number: int, up: str, down: str) -> str:
    """One Alembic revision; ``up`` and ``down`` are SQL, an empty ``down`` is no downgrade."""
    return textwrap.dedent(f'''\
        """change {number}"""
        from alembic import op

        revision = "{number:04}"
        down_revision = {f'"{number - 1:04}"' if number > 1 else None}


        def upgrade():
            op.execute({up!r})


        def downgrade():
            {f"op.execute({down!r})" if down else "pass"}
        ''')


FIRST = migration(
    1,
    "CREATE TABLE sale (id bigint PRIMARY KEY, note text, total bigint NOT NULL); INSERT INTO sale VALUES (1, 'a', 5)",
    "DROP TABLE sale",
)
SECOND = migration(2, "ALTER TABLE sale ADD COLUMN tip bigint", "ALTER TABLE sale DROP COLUMN tip")

# Sells nothing, but reads a column of its database.
APP_PY = """\
import json, os
import psycopg

def answer(path):
    if path == "/version":
        return 200, {"version": os.environ["VERSION"]}
    if path == "/sales":
        try:
            with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as connection:
                return 200, [row[0] for row in connection.execute("SELECT COLUMN FROM sale").fetchall()]
        except psycopg.Error as fault:
            return 500, {"fault": str(fault)}
    return 200, {}

async def app(scope, receive, send):
    status, body = answer(scope["path"])
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
"""
SMOKE = """\
import pytest
pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]


def test_sales(app):
    \"\"\"Sales are listed\"\"\"
    assert app.get("/sales").status_code == 200, app.get("/sales").text
"""

API: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "made up", "version": "1"},
    "paths": {"/sales": {"get": {"responses": {"200": {"description": "all of them"}}}}},
}


class Project:
    """A folder with one environment, ``local``. ``state`` is where its servers' state lies, shared by all projects."""

    def __init__(self, folder: Path, table: dict[str, Any]) -> None:
        self.folder = folder
        self.table = table
        folder.mkdir(parents=True)
        for name in _OURS:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / name)
        self.write("requirements.lock", "nothing-at-all==1.0\n")
        self.write("app/main.py", "VALUE = 1\n")
        self.write("smoke/test_sales.py", SMOKE)
        self.write(".github/workflows/tests.yml", GOOD_WORKFLOW)
        self.write("docs/runbook.md", GOOD_RUNBOOK)
        self.write("CHANGELOG.md", GOOD_CHANGELOG)
        self.write("reports/junit.xml", GOOD_RESULTS)
        self.audited([{"name": "nothing-at-all", "version": "1.0", "vulns": []}])

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def release(
        self, version: str, *migrations: str, api: dict[str, Any] | None = None, reads: str = "note"
    ) -> Release:
        """Builds a release that carries migrations and an OpenAPI document, and ``reads`` a column of its sales."""
        folder = self.folder / "releases" / version
        files = {
            "alembic.ini": "[alembic]\nscript_location = migrations\n",
            "migrations/env.py": ENV_PY,
            "openapi.json": json.dumps(API if api is None else api),
            "app.py": APP_PY.replace("COLUMN", reads),
        }
        files |= {f"migrations/versions/{number:04}.py": text for number, text in enumerate(migrations, start=1)}
        for name, text in files.items():
            self.write(f"releases/{version}/{name}", text)
        sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
        manifest = {"format": 1, "name": "made-up", "version": version, "digest": releases.digest_of(sums)}
        manifest |= {"commit": "abc1234def", "files": sums, "openapi": "openapi.json"}
        self.write(f"releases/{version}/release.json", json.dumps(manifest))
        return releases.read(folder)

    def audited(self, rows: list[dict[str, Any]]) -> None:
        """What the package index answered a moment ago about the lock file, as the suite keeps it."""
        lock = (self.folder / "requirements.lock").read_bytes()
        key = hashlib.sha256(hashlib.sha256(lock).digest()).hexdigest()[:32]
        folder = self.folder / self.table["state"]["folder"] / "local" / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"dependencies-{key}.json").write_text(json.dumps(rows))

    def audited_as_harmless(self, folder: str) -> None:
        """Marks every secret that is found in a folder as looked at, and none."""
        argv = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "--no-verify", folder]
        baseline = json.loads(shell.run(argv, timeout=30, cwd=self.folder).out)
        for found in baseline["results"].values():
            for row in found:
                row["is_secret"] = False
        self.write(".secrets.baseline", json.dumps(baseline))

    def environment(self) -> Environment:
        text = "\n".join(f"{key} = {toml(value)}" for key, value in self.table.items())
        self.write("environments/local.toml", text).chmod(0o600)  # passwords are written out in it
        return environments.load("local", self.folder)

    def checks(
        self, release: Release, stable: Release | None = None, *, folders: tuple[str, ...] = ("checks",), **context: Any
    ) -> dict[str, Case]:
        """Runs the real checks through the real plugin; each case by the name of its function."""
        given = Context("local", CHECKS, release=release, stable=stable, **context)
        result = suite.run(self.environment(), given, list(folders), self.folder / "reports" / "run", decide=_never)
        assert not result.broken, result.broken
        assert result.planned
        assert not result.missing
        return {case.id.rpartition("::")[2]: case for case in result.cases}


def _never(_: SuiteResult) -> None:
    """The run goes to its end."""


def toml(value: Any) -> str:
    """A value as TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)
