"""A restored database takes the live one's name: both names at once or none, whoever is connected."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import psycopg
import pytest

from gate.config import Database, Environment
from gate.database import backup, dump, fingerprint, swap
from gate.database.cluster import Cluster
from gate.database.restoring import Restoring
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.steps.base import StepFailed
from gate.steps.restore import Beside, Swap
from tests.database.project import PASSWORD, run

if TYPE_CHECKING:
    from gate.deployment.run import Run

BESIDE, KEPT = "shop_beside_r7", "shop_before_r7"


@pytest.fixture
def admin(server: Cluster, shop: Secret) -> Iterator[Secret]:
    """The server's own role; afterwards only ``shop`` is left."""
    yield server.url()
    if swap.oid(server.url(), KEPT) is not None:
        swap.swap(server.url(), live="shop", comes=KEPT, leaves=BESIDE)
    swap.drop(server.url(), BESIDE)
    run(
        server.url(),
        "ALTER DATABASE shop RESET ALL",
        "ALTER ROLE app IN DATABASE shop RESET ALL",
        "GRANT ALL ON DATABASE shop TO PUBLIC",
    )


def test_a_backup_restored_beside_is_the_same(
    environment: Environment, admin: Secret, shop: Secret, tmp_path: Path
) -> None:
    made = backup.create(environment, tmp_path, label="r7")
    run(shop, "DELETE FROM items")
    swap.make_beside(admin, "shop", BESIDE)
    place = swap.at(admin, BESIDE)
    dump.restore(made.file, place, private=False)
    backup.compare(made, place, made.origin.major)
    run(place, "DELETE FROM public.items WHERE id = 1")
    with pytest.raises(DatabaseError, match=r"table public.items: 500 → 499 rows"):
        backup.compare(made, place, made.origin.major)


def test_owner_settings_and_privileges_come_along(server: Cluster, admin: Secret) -> None:
    run(
        admin,
        'ALTER DATABASE shop SET search_path = app, "Odd, one", public',
        "ALTER DATABASE shop SET default_transaction_read_only = off",
        "ALTER DATABASE shop SET my.own = 'it''s'",
        "ALTER ROLE app IN DATABASE shop SET work_mem = '9MB'",
        "REVOKE ALL ON DATABASE shop FROM PUBLIC",
        "GRANT CONNECT ON DATABASE shop TO reader WITH GRANT OPTION",
        "ALTER DATABASE shop CONNECTION LIMIT 17",
    )
    swap.make_beside(admin, "shop", BESIDE)

    def of(name: str) -> list[tuple[object, ...]]:
        return run(
            admin,
            f"""SELECT pg_get_userbyid(datdba), encoding, datcollate, datctype, datlocprovider, datconnlimit,
                (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
                (SELECT array_agg(setrole::text || setconfig::text ORDER BY setrole) FROM pg_db_role_setting
                 WHERE setdatabase = d.oid)
                FROM pg_database d WHERE datname = '{name}'""",  # noqa: S608 - two names of this test
        )

    assert of(BESIDE) == of("shop")
    assert swap.oid(admin, BESIDE) is not None
    run(admin, "ALTER DATABASE shop CONNECTION LIMIT -1")


def test_names_change_under_clients_that_come_back_at_once(admin: Secret, shop: Secret) -> None:
    swap.make_beside(admin, "shop", BESIDE)
    run(swap.at(admin, BESIDE), "CREATE TABLE public.restored ()")
    stop, answered, broken = threading.Event(), [], []

    def client() -> None:
        while not stop.is_set():
            try:
                with psycopg.connect(shop.reveal(), autocommit=True, connect_timeout=5) as connection:
                    while not stop.is_set():
                        connection.execute("SELECT 1")
                        answered.append(1)
            except psycopg.Error as fault:
                broken.append(fault)

    clients = [threading.Thread(target=client) for _ in range(6)]
    for thread in clients:
        thread.start()
    try:
        assert swap.swap(admin, live="shop", comes=BESIDE, leaves=KEPT) < 10
        assert run(shop, "SELECT to_regclass('public.restored') IS NULL") == [(False,)]
        before = len(answered)
        swap.swap(admin, live="shop", comes=KEPT, leaves=BESIDE)
        assert run(shop, "SELECT to_regclass('public.restored') IS NULL") == [(True,)]
    finally:
        stop.set()
        for thread in clients:
            thread.join(timeout=10)
    assert len(answered) > before, "clients came back"
    assert broken, "their sessions were ended"


def test_a_name_that_cannot_be_taken_changes_none(admin: Secret, shop: Secret) -> None:
    before = fingerprint.data(shop)
    with pytest.raises(DatabaseError):
        swap.swap(admin, live="shop", comes="not_there", leaves=KEPT)
    assert swap.oid(admin, KEPT) is None
    assert fingerprint.data(shop) == before


def test_a_role_without_the_right_is_told(server: Cluster, admin: Secret, shop: Secret) -> None:
    with pytest.raises(DatabaseError, match="lacks a privilege"):
        swap.make_beside(server.url("shop", "app", PASSWORD), "shop", BESIDE)
    assert swap.oid(admin, BESIDE) is None


def test_what_stood_in_the_way_is_dropped_with_its_sessions(admin: Secret) -> None:
    swap.make_beside(admin, "shop", BESIDE)
    with psycopg.connect(swap.at(admin, BESIDE).reveal(), connect_timeout=5):
        swap.make_beside(admin, "shop", BESIDE)
    assert swap.drop(admin, BESIDE)
    assert not swap.drop(admin, BESIDE)


@pytest.mark.parametrize("live", ["shop", "x" * 63, "ü" * 31])
def test_names_are_short_enough_to_be_kept(live: str) -> None:
    name = swap.named(live, "restored_r1234")
    assert len(name.encode()) <= 63
    assert name.endswith("_restored_r1234")
    assert live.startswith(name.removesuffix("_restored_r1234"))


def test_what_another_life_left_is_neither_dropped_nor_taken_for_what_was_live(
    environment: Environment, admin: Secret, shop: Secret, tmp_path: Path
) -> None:
    live = swap.oid(admin, "shop")
    swap.make_beside(admin, "shop", KEPT)
    run_ = SimpleNamespace(
        environment=environment.derived({"database": with_admin(environment, admin)}, []),
        restoring=Restoring(backup.create(environment, tmp_path, label="r7"), "shop"),
        candidate_id="r7",
        note=lambda _: None,
    )
    run = cast("Run", run_)
    with pytest.raises(StepFailed, match=f"database {KEPT} is there already"):
        Beside().intend(run)
    facts = Swap().intend(run)
    assert facts["was"] == live
    swap.make_beside(admin, "shop", BESIDE)
    with pytest.raises(DatabaseError, match="already exists"):
        Swap().do(run, facts)
    assert Swap().undo(run, facts) == ""
    assert swap.oid(admin, "shop") == live
    swap.drop(admin, KEPT)
    Swap().do(run, facts)
    assert swap.oid(admin, KEPT) == live
    assert Swap().undo(run, facts) == "shop is the database it was"
    assert swap.oid(admin, "shop") == live
    swap.drop(admin, "shop_restored_r7")


def with_admin(environment: Environment, admin: Secret) -> Database:
    assert environment.database is not None
    return environment.database.model_copy(update={"maintenance_url": admin})
