"""Start-up is on every deployment's path: what only some cases need is imported when they ask for it."""

from __future__ import annotations

import sys

from gate.machine import shell
from tests.suite.project import HOUSE

HEAVY = (
    "sqlalchemy",
    "psycopg",
    "redis",
    "requests",
    "httpx",
    "testinfra",
    "docker",
    "playwright",
    "alembic",
    "jinja2",
)

LOOK = """
import importlib, pathlib, sys
importlib.import_module("gate.pytest_plugin")
for file in sorted(pathlib.Path("fixtures").glob("[!_]*.py")):
    importlib.import_module(f"fixtures.{file.stem}")
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_plugin_and_fixtures_import_nothing_heavy() -> None:
    looked = shell.run([sys.executable, "-c", LOOK, *HEAVY], cwd=HOUSE, timeout=60)
    assert looked.out.split() == []
