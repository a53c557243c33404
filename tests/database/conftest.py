"""One PostgreSQL for all tests of this folder, and a database of its own for each."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.config import Environment
from gate.database.cluster import Cluster, scratch
from gate.database.connection import parameters
from gate.redact import Secret
from tests.database import project
from tests.database.project import PASSWORD, run

_numbers = itertools.count(1)


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
        yield cluster


@pytest.fixture
def live(server: Cluster) -> Secret:
    """An empty database whose owner, the application's role, has no special rights."""
    return _database(server, "template0")


@pytest.fixture
def shop(server: Cluster, full: str) -> Secret:
    """A database with a few rows of everything that is hard to compare."""
    return _database(server, full)


@pytest.fixture(scope="session")
def full(server: Cluster) -> str:
    """The template of ``shop``."""
    url = _database(server, "template0")
    run(
        url,
        "CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, price numeric NOT NULL)",
        "INSERT INTO items (name, price) SELECT 'item ' || i, i * 1.1 FROM generate_series(1, 500) i",
        'CREATE TABLE "Odd names; really" ("a b" double precision, "select" bytea, at timestamptz)',
        """INSERT INTO "Odd names; really" VALUES (0.1, 'abc', now()), ('NaN', NULL, 'infinity'), (NULL, '', NULL)""",
        "CREATE TABLE nothing_in_it (x int)",
        "CREATE TABLE no_columns ()",
        "CREATE VIEW cheap AS SELECT name FROM items WHERE price < 10",
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE TABLE moods (mood mood, tags text[], more jsonb, twice int GENERATED ALWAYS AS (1 + 1) STORED)",
        """INSERT INTO moods VALUES ('bad', ARRAY['x', NULL], '{"a": [1, null]}')""",
        "CREATE TABLE days (day date) PARTITION BY RANGE (day)",
        "CREATE TABLE days_2026 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "INSERT INTO days VALUES ('2026-11-24'), ('2026-11-24')",
        "GRANT SELECT ON items TO reader",
        "SELECT lo_from_bytea(0, 'a large object')",
    )
    return parameters(url)["dbname"]


def _database(server: Cluster, template: str) -> Secret:
    name = f"live{next(_numbers)}"
    run(server.url(), f"CREATE DATABASE {name} OWNER app TEMPLATE {template}")
    return server.url(name, "app", PASSWORD)


@pytest.fixture
def environment(home: Path, shop: Secret) -> Environment:
    """The environment of the database ``shop``."""
    return project.environment(home, shop)
