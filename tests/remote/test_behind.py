"""A database and a cache that are reached through the engine's SSH connection: a real server, a real database."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fixtures.database import Database
from gate.config import Environment
from gate.database import backup
from gate.database.cluster import Cluster
from gate.database.connection import connect
from gate.database.ways import Led, like, url_by_way
from gate.errors import DatabaseError
from gate.machine.shell import wait_until
from gate.redact import Secret
from gate.remote import behind
from tests.containers.dockered import dockered
from tests.engine.site import folder, free_port
from tests.remote.server import Server


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The database's server, with a thousand sales in it."""
    with folder() as place:
        made = Cluster(place, port=free_port(), durable=False)
        made.init()
        made.start()
        try:
            with psycopg.connect(made.url().reveal(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE shop")
            with psycopg.connect(made.url("shop").reveal(), autocommit=True) as connection:
                connection.execute(
                    "CREATE TABLE sale AS SELECT n AS id, n * 5 AS total FROM generate_series(1, 1000) n"
                )
            yield made
        finally:
            made.stop(grace=5)


@pytest.fixture(scope="module")
def cache() -> Iterator[str]:
    """The address of somebody who greets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    with listener.accept()[0] as asking:
                        asking.sendall(b"hello")
                except OSError:
                    return

        threading.Thread(target=greet, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def environment(remote: Server, cluster: Cluster, cache: str) -> Iterator[Environment]:
    database = {"url": cluster.url("shop").reveal(), "through": "ssh", "rehearsal": False, "backup": "dump"}
    there = {"url": f"redis://:Rj7-behind-4@{cache}/0", "through": "ssh"}
    with dockered("", engine=remote.engine, database=database, cache=there) as made:
        yield behind.led(made.environment)


def url_of(environment: Environment) -> Secret:
    assert environment.database is not None
    return environment.database.url


def forwarded(remote: Server, cluster: Cluster) -> int:
    """How many connections the server has made to the database for us."""
    said = (remote.place / "log").read_text()
    return len(re.findall(rf"server_request_direct_tcpip: .*target 127\.0\.0\.1 port {cluster.port}\b", said))


def sessions(cluster: Cluster) -> int:
    """How many connections the database has had."""
    with psycopg.connect(cluster.url().reveal(), autocommit=True) as connection:
        row = connection.execute("SELECT sessions FROM pg_stat_database WHERE datname = 'shop'").fetchone()
    assert row is not None
    return int(row[0])


def test_every_connection_of_a_whole_backup_goes_through(
    environment: Environment, remote: Server, cluster: Cluster, tmp_path: Path
) -> None:
    before = sessions(cluster), forwarded(remote, cluster)
    made = backup.create(environment, tmp_path, label="behind")
    proven = backup.verify(made, environment)
    assert made.tables["public.sale"].rows == 1000
    assert "1 tables, 1000 rows equal" in str(proven)

    def counted() -> tuple[int, int]:
        return sessions(cluster) - before[0], forwarded(remote, cluster) - before[1]

    assert wait_until(lambda: counted()[0] == counted()[1] > 1, timeout=10, every=0.5), counted()


def test_cases_connect_by_the_same_way(environment: Environment, cluster: Cluster) -> None:
    database = Database(url_of(environment))
    with database.connect() as connection:
        assert connection.info.port == docker_leads(environment, cluster) != cluster.port
    assert database.url.reveal() == cluster.url("shop").reveal(), "the services' own, as it was written"
    assert f":{docker_leads(environment, cluster)}/shop?hostaddr=127.0.0.1" in database.here.reveal()
    assert database.facts().version >= 14


def docker_leads(environment: Environment, cluster: Cluster) -> int:
    return behind.port_of(environment.engine, f"127.0.0.1:{cluster.port}")  # type: ignore[arg-type] # it is a docker one


def test_a_cache_has_a_way_as_well(environment: Environment, cache: str) -> None:
    port = behind.port_of(environment.engine, cache)  # type: ignore[arg-type]
    assert port != int(cache.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as asking:
        assert asking.recv(5) == b"hello"


def test_a_connection_that_is_cut_is_told_and_opened_again(
    environment: Environment, remote: Server, tmp_path: Path
) -> None:
    url = url_of(environment)
    cut = threading.Timer(0.5, remote.cut)

    def asked_for_long() -> None:
        with connect(url) as connection:
            cut.start()
            connection.execute("SELECT pg_sleep(50)")

    try:
        began = time.monotonic()
        with pytest.raises(DatabaseError, match=r"^database shop at "):
            asked_for_long()
        assert time.monotonic() - began < 30, "no hang"
        cut.join()
        with pytest.raises(DatabaseError, match="cannot be reached") as told:
            backup.create(environment, tmp_path, label="cut")
        assert "Rj7" not in str(told.value)
        assert not list(tmp_path.iterdir())
    finally:
        remote.up()
    with connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM public.sale").fetchone() == (1000,)


def test_a_way_is_the_url_s_own() -> None:
    """Two environments may call their servers alike: what one of them has never leads the other."""
    text = "postgresql://made_up@db:5432/shop?sslmode=verify-full"
    one = Led(text, lambda: 7001)
    assert url_by_way(one, "it").reveal() == text.replace(":5432", ":7001") + "&hostaddr=127.0.0.1"
    assert (
        url_by_way(like(one, text.replace("shop", "shop_new")), "it")
        .reveal()
        .startswith("postgresql://made_up@db:7001/shop_new")
    )
    assert url_by_way(Secret(text), "it").reveal() == text
