"""Real servers for the checks to look at, and projects that use them."""

from __future__ import annotations

import copy
import itertools
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gate.database import migrations
from gate.stack import Stack
from tests.checks.projects import FIRST, Project

# Made-up passwords of servers that live as long as this test run, on the loopback address.
DATABASE_PASSWORD = "Rj7-checks-database-4"
CACHE_PASSWORD = "Rj7-checks-cache-4"


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Short, because unix sockets need it."""
    folder = Path(tempfile.mkdtemp(prefix="gate-checks-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def table(home: Path) -> Iterator[dict[str, Any]]:
    """An environment in which nothing is wrong, its servers running, its database at the schema of 1.0.0."""
    database, cache, front = free_ports(3)
    url = f"postgresql://made_up:{DATABASE_PASSWORD}@127.0.0.1:{database}/made_up"
    good: dict[str, Any] = {
        "app": {"name": "made-up", "url": f"http://127.0.0.1:{front}"},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "services": {
            "web": {
                "command": ["{python}", "-m", "uvicorn", "app:app", "--uds", "{socket}", "--lifespan", "off"],
                "route": "/",
                "health": "/health",
                "identity": "/version#version",
                "limits": {"cpu": 1.0, "memory": "64M"},
                "env": {"TOKEN": "kT92-hfLq0-zzPw31", "DATABASE_URL": url, "VERSION": "{version}"},
            }
        },
        "database": {
            "url": url,
            "migrations": {"tool": "alembic"},
        },
        "cache": {"url": f"redis://:{CACHE_PASSWORD}@127.0.0.1:{cache}/0", "eviction": ["noeviction"]},
        "traffic": {"listen": f"127.0.0.1:{front}"},
        "stack": {"postgres": {"port": database}, "cache": {"port": cache}},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
        # This machine may be busy with other tests: its load is no part of what is tested here.
        "rules": [{"signal": signal, "go": "<= 100%"} for signal in ("cpu", "memory", "disk")],
        "settings": {"required": ["TOKEN"], "formats": {"TOKEN": "[A-Za-z0-9-]{16,}"}},
        "documents": {"runbook": "docs/runbook.md", "changelog": "CHANGELOG.md"},
        "pipeline": {"workflows": ".github/workflows", "test_results": "reports/junit.xml"},
        "scan": {"dependencies": ["requirements.lock"], "code": ["app"], "secrets": ["app", "docs"]},
        "contacts": {"primary": "whoever is on call, +49 30 5550 101"},
        "state": {"folder": str(home / "state")},
    }
    project = Project(home / "good", good)
    environment = project.environment()
    stack = Stack(environment)
    try:
        stack.up(lambda _: None)
        tool = migrations.create(environment, project.release("1.0.0", FIRST))
        assert tool is not None
        assert environment.database is not None
        tool.upgrade(environment.database.url)
        yield good
    finally:
        stack.down(lambda _: None)


@pytest.fixture
def project(home: Path, table: dict[str, Any]) -> Project:
    """A project of its own, in which nothing is wrong, on the servers all projects share."""
    return Project(home / f"p{next(_NUMBERS)}", copy.deepcopy(table))


_NUMBERS = itertools.count(1)
