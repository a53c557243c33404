"""Reaching a database, and saying why not without saying the password."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from gate.database.cluster import Cluster
from gate.database.connection import at_socket, connect, parameters, where
from gate.database.facts import facts
from gate.errors import DatabaseError
from gate.redact import Secret
from tests.database.project import PASSWORD, run


def test_the_facts_of_a_database(constant: Secret) -> None:
    found = facts(constant)
    assert found.version >= 14
    assert found.version_text.startswith(str(found.version))
    assert found.size_bytes > 1_000_000
    assert (found.encoding, found.role, found.standby) == ("UTF8", "app", False)
    assert 1 <= found.connections < found.max_connections


def test_importing_the_gate_does_not_load_psycopg() -> None:
    code = (
        "import sys, gate.database.backup, gate.database.copy, gate.database.alembic; print('psycopg' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert printed.stdout.strip() == "False"


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(DatabaseError, match=f"database shop at 127.0.0.1:{port} cannot be reached") as caught:
            facts(Secret(f"postgresql://app:{PASSWORD}@127.0.0.1:{port}/shop"))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("part", ["password", "dbname", "user"])
def test_the_server_refuses(server: Cluster, constant: Secret, part: str) -> None:
    parts = parameters(constant) | {part: "wrong-one-7"}
    wrong = at_socket(constant, constant, user=parts["user"], password=parts["password"], name=parts["dbname"])
    with pytest.raises(DatabaseError, match="cannot be reached") as caught:
        facts(wrong)
    assert parts["password"] not in str(caught.value)


def test_a_url_that_is_none_is_not_repeated() -> None:
    with pytest.raises(DatabaseError, match=r"^\[database\] url: not a PostgreSQL URL") as caught:
        facts(Secret("mysql://app:hunter2hunter2@here/shop"))
    assert "hunter2" not in str(caught.value)


def test_a_url_with_a_driver_is_understood(shop: Secret) -> None:
    assert facts(Secret(shop.reveal().replace("postgresql://", "postgresql+psycopg://"))).role == "app"
    assert where(Secret("postgresql+psycopg2://app:x@db.example/shop")) == "database shop at db.example:5432"


def test_a_statement_that_takes_too_long(constant: Secret) -> None:
    with (
        pytest.raises(DatabaseError, match="took longer than statement_timeout"),
        connect(constant, statement_timeout=0.2) as connection,
    ):
        connection.execute("SELECT pg_sleep(5)")


def test_a_lock_that_does_not_come(constant: Secret) -> None:
    with connect(constant) as holder, holder.transaction():
        holder.execute("LOCK TABLE public.items")
        with (
            pytest.raises(DatabaseError, match="waited longer than lock_timeout"),
            connect(constant, lock_timeout=0.2) as connection,
        ):
            connection.execute("SELECT FROM public.items")


def test_rows_a_policy_hides_are_an_error(shop: Secret, server: Cluster) -> None:
    run(
        shop,
        "CREATE TABLE private (owner text)",
        "ALTER TABLE private ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE private FORCE ROW LEVEL SECURITY",
    )
    with pytest.raises(DatabaseError, match="lacks a privilege"), connect(shop) as connection:
        connection.execute("SELECT FROM public.private")


def test_names_and_passwords_with_every_sign() -> None:
    url = at_socket(
        Secret("postgresql+psycopg://a:b@c/d"),
        Secret("postgresql:///?host=/run/x%20y&port=5432"),
        user="us@er/:",
        password="p@ss%/?&w",
        name="na/me?",
    )
    assert url.reveal().startswith("postgresql+psycopg://")
    assert parameters(url) == {
        "user": "us@er/:",
        "password": "p@ss%/?&w",
        "dbname": "na/me?",
        "host": "/run/x y",
        "port": "5432",
    }


def test_settings_of_the_caller_do_not_matter(constant: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PGTZ", "Asia/Tokyo")
    monkeypatch.setitem(os.environ, "PGDATESTYLE", "German")
    with connect(constant) as connection:
        row = connection.execute("SELECT current_setting('timezone'), date '2026-11-24'::text").fetchone()
    assert row == ("UTC", "2026-11-24")
