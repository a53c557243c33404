"""One PostgreSQL for all tests of this folder, and a database of its own for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.config import Environment
from gate.database.cluster import Cluster, scratch
from gate.redact import Secret
from tests.database import project
from tests.database.project import PASSWORD, fill, run


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Short, because unix sockets need it; one state folder for all tests, so that initdb runs once."""
    folder = Path(tempfile.mkdtemp(prefix="gate-db-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Cluster]:
    with scratch(home / ".gate" / "here" / "scratch") as cluster:
        run(cluster.url(), f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'", "CREATE ROLE reader")
        for name in ("live", "shop", "constant"):
            run(cluster.url(), f"CREATE DATABASE {name} OWNER app")
        fill(cluster.url("constant", "app", PASSWORD))
        yield cluster


@pytest.fixture
def live(server: Cluster) -> Secret:
    """An empty database whose owner, the application's role, has no special rights."""
    return _emptied(server, "live")


@pytest.fixture
def shop(server: Cluster) -> Secret:
    """A database with a few rows of everything that is hard to compare."""
    url = _emptied(server, "shop")
    fill(url)
    return url


@pytest.fixture(scope="session")
def constant(server: Cluster) -> Secret:
    """A database like ``shop`` in which no test commits anything."""
    return server.url("constant", "app", PASSWORD)


def _emptied(server: Cluster, name: str) -> Secret:
    run(
        server.url(name),
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "DROP OWNED BY app CASCADE",
        "DROP EXTENSION IF EXISTS pg_stat_statements",
        "DROP TABLE IF EXISTS hidden",
    )
    return server.url(name, "app", PASSWORD)


@pytest.fixture
def environment(home: Path, shop: Secret) -> Environment:
    """The environment of the database ``shop``."""
    return project.environment(home, shop)
