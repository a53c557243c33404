"""Servers that answer and are not fit for a deployment all the same."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from gate.database.cluster import Cluster
from gate.errors import DatabaseError
from gate.machine import shell
from gate.results import CaseOutcome
from tests.checks.projects import FIRST, Project

FOLDERS = ("checks/test_environment.py",)


@pytest.fixture
def standby(home: Path) -> Iterator[str]:
    """The URL of a server in recovery, which answers and takes no writes."""
    cluster = Cluster(home / "standby", durable=False)
    cluster.init()
    (cluster.data / "standby.signal").touch()
    url = cluster.url().reveal()

    def start() -> None:
        # It never says "ready", as a standby does not: this waits until the test has stopped it.
        with contextlib.suppress(DatabaseError):
            cluster.start(timeout=60)

    waiting = threading.Thread(target=start)
    waiting.start()
    try:
        assert shell.wait_until(lambda: answers(url), timeout=30)
        yield url
    finally:
        cluster.stop(grace=5)
        waiting.join()
        cluster.remove()


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_standby_takes_no_writes(project: Project, standby: str) -> None:
    project.table["database"] = {"url": standby}
    cases = project.checks(project.release("1.1.0", FIRST), folders=FOLDERS)
    case = cases["test_database_is_ready_for_a_deployment"]
    assert (case.outcome, "names a standby" in case.message) == (CaseOutcome.FAILED, True), case.message


def test_servers_that_are_nearly_full_are_told(project: Project) -> None:
    url = project.table["cache"]["url"]
    with redis.Redis.from_url(url) as cache, contextlib.ExitStack() as connections:
        before = cache.config_get("maxmemory")["maxmemory"]
        for _ in range(85):  # of PostgreSQL's usual 100
            connections.enter_context(psycopg.connect(project.table["database"]["url"]))
        try:
            cache.config_set("maxmemory", int(cache.info("memory")["used_memory"] * 1.2))
            cases = project.checks(project.release("1.1.0", FIRST), folders=FOLDERS)
        finally:
            cache.config_set("maxmemory", before)
    database, server = cases["test_database_is_ready_for_a_deployment"], cases["test_cache_is_ready_for_a_deployment"]
    assert (database.outcome, server.outcome) == (CaseOutcome.WARNING, CaseOutcome.WARNING)
    assert "connections in use" in database.message
    assert "70 % of its maxmemory" in server.message


@pytest.mark.parametrize(
    ("query", "outcome", "told"),
    [
        ("SELECT 1 WHERE false", CaseOutcome.PASSED, ""),
        ("SELECT 7 AS sku", CaseOutcome.FAILED, "stock-adds-up: 1 rows, such as"),
        ("SELECT no_such_column", CaseOutcome.ERROR, "could not be measured"),
    ],
)
def test_data_that_is_broken_already_is_told_before(
    project: Project, query: str, outcome: CaseOutcome, told: str
) -> None:
    project.write("invariants.sql", f"-- name: stock-adds-up\n{query};\n")
    project.table["database"]["invariants"] = "invariants.sql"
    first = project.release("1.0.0", FIRST)
    cases = project.checks(project.release("1.1.0", FIRST), stable=first, folders=("checks/test_core_flows.py",))
    case = cases["test_data_is_sound_before"]
    assert (case.outcome, told in case.message) == (outcome, True), case.message
