"""A backup becomes the live database again, proven by what serves; or the database stays the one it was."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from example.customers import Customers
from gate.database import backup, restoring, swap
from gate.environments import load
from gate.machine.shell import wait_until
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.results import Outcome
from gate.rollback import served
from tests.e2e.sites import Ran, Site

BREAK = "UPDATE stock SET quantity = quantity + 1 WHERE sku = (SELECT min(sku) FROM stock) AND NOT training"
MEND = BREAK.replace("+ 1", "- 1")


@pytest.fixture
def shop(brief_site: Site) -> Site:
    """1.1.0 serves, after 1.0.0."""
    return brief_site


@pytest.fixture(autouse=True)
def _only_the_live_one(shop: Site) -> Iterator[None]:
    """What a restore keeps is dropped after each test, so that the next one finds what it left itself."""
    yield
    for name in databases(shop) - {"store"}:
        swap.drop(restoring.server_of(load("local", shop.root)), name)


def taken(site: Site) -> str:
    """Makes a backup of the present and proves it; its id."""
    head = asked(site, "SELECT version_num FROM alembic_version")
    environment = load("local", site.root)
    made = backup.create(environment, site.state / "backups", label="by-hand", head=head)
    backup.verify(made, environment)
    return made.id


def asked(site: Site, *statements: str) -> Any:
    """The first value of the last statement, on the live database."""
    with psycopg.connect(site.database, autocommit=True, connect_timeout=5) as connection:
        value = None
        for statement in statements:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            value = row[0] if row else None
        return value


def databases(site: Site) -> set[str]:
    with psycopg.connect(site.database, connect_timeout=5) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'store%'")}


def restore(site: Site, made: str, *words: str) -> Ran:
    return site.gate("restore", made, "--confirm", "local", *words)


def oid(site: Site) -> int:
    """Which database has the live one's name."""
    return int(asked(site, "SELECT oid FROM pg_database WHERE datname = current_database()"))


def sell(site: Site, orders: int) -> None:
    with Customers(site.url, count=2, pause=0.01).shopping() as tally:
        assert wait_until(lambda: len(tally.acknowledged) >= orders, timeout=30)


def test_backups_are_listed(shop: Site) -> None:
    made = taken(shop)
    listed = shop.gate("restore")
    assert listed.code == 0
    assert listed.document["backups"][0]["id"] == made
    assert {item["schema_head"] for item in listed.document["backups"]} >= {"0004", "0005"}
    assert made in listed.told


def test_restored_under_customers(shop: Site) -> None:
    made = taken(shop)
    before = asked(shop, "SELECT count(*) FROM sales")
    sell(shop, 20)
    with Customers(shop.url, count=2, pause=0.02).shopping() as tally:
        ran = restore(shop, "latest")
        since = len(tally.acknowledged)
        assert wait_until(lambda: len(tally.acknowledged) >= since + 20, timeout=30), "customers buy again at once"
    assert (ran.code, ran.document["outcome"]) == (0, "RESTORED"), f"{ran.reasons}\n{ran.told}"
    assert f"table public.sales: {before} → " in ran.told, "it is told what is lost"
    assert "of write-ahead log written since" in ran.told
    number = ran.document["deployment"]
    kept = f"store_before_r{number}"
    assert databases(shop) == {"store", kept}
    assert any(kept in note for note in ran.document["notes"])
    # What customers were told before is in the database that is kept, what they were told after in the live one.
    url = swap.at(restoring.server_of(load("local", shop.root)), kept)
    live = set(tally.lost(shop.database))
    assert live, "orders from before the swap are gone from the live database"
    assert set(tally.lost(url.reveal())) & live == set()
    present = shop.gate("restore").document["backups"][0]
    assert present["id"].endswith(f"-r{number}"), "the present was backed up first"
    assert present["rows"] > next(
        item["rows"] for item in shop.gate("restore").document["backups"] if item["id"] == made
    )
    record = json.loads((shop.root / ran.document["report"]).with_name("decision.json").read_text())
    assert [step["name"] for step in record["steps"]] == ["backup", "restore beside", "swap", "prove"]
    assert (record["action"], record["outcome"]) == ("restore", "RESTORED")
    assert shop.gate("history").document["deployments"][0]["outcome"] == "RESTORED"


def test_a_base_backup_is_restored_by_way_of_a_dump(shop: Site) -> None:
    loaded = load("local", shop.root)
    assert loaded.database is not None
    with psycopg.connect(restoring.server_of(loaded).reveal(), autocommit=True, connect_timeout=5) as connection:
        role = sql.Identifier(str(psycopg.conninfo.conninfo_to_dict(shop.database)["user"]))
        connection.execute(sql.SQL("ALTER ROLE {} REPLICATION").format(role))
    changed = loaded.database.model_copy(update={"backup": "basebackup"})
    asking = loaded.model_copy(update={"database": changed})
    head = asked(shop, "SELECT version_num FROM alembic_version")
    made = backup.create(asking, shop.state / "backups", label="whole", head=head)
    backup.verify(made, asking)
    was = oid(shop)
    ran = restore(shop, made.id)
    assert (ran.code, ran.document["outcome"]) == (0, "RESTORED"), f"{ran.reasons}\n{ran.told}"
    assert oid(shop) != was


def test_the_way_back_is_the_same_after_a_restore(shop: Site) -> None:
    store = Store(SqliteFile(shop.state / "gate.db"))
    assert [item.outcome for item in store.deployments(1)] == [Outcome.RESTORED]
    digest = shop.gate("status").document["stable"]["digest"]
    assert served.before(store, digest)[0].version == "1.0.0"
    assert served.way_back(store)[0].digest == digest


def test_a_database_that_cannot_be_read_is_restored_without_a_backup_of_it(shop: Site) -> None:
    made = taken(shop)
    server = swap.at(restoring.server_of(load("local", shop.root)), "store")
    with psycopg.connect(server.reveal(), autocommit=True, connect_timeout=5) as connection:
        connection.execute("CREATE TABLE public.unreadable ()")  # not the application's: it may not read it
    refused = restore(shop, made)
    assert refused.code == 3, refused.told
    ran = restore(shop, made, "--without-backup")
    assert (ran.code, ran.document["outcome"]) == (0, "RESTORED"), f"{ran.reasons}\n{ran.told}"
    assert "lost   cannot be told: " in ran.told
    assert any(name.startswith("store_before_r") for name in databases(shop)), "what could not be read is kept"


@pytest.mark.parametrize("words", [[], ["--confirm", "production"]])
def test_without_the_name_nothing_happens(shop: Site, words: list[str]) -> None:
    made, was = taken(shop), oid(shop)
    ran = shop.gate("restore", made, *words)
    assert (ran.code, ran.document["outcome"]) == (2, "USAGE")
    assert "--confirm local" in ran.document["next"]
    assert (oid(shop), databases(shop)) == (was, {"store"})


def test_a_backup_that_is_not_there(shop: Site) -> None:
    ran = restore(shop, "20200101T000000Z-r1")
    assert ran.code == 2
    assert "restore   lists them" in ran.document["next"]


def test_a_schema_that_what_serves_cannot_work_on_is_refused(shop: Site) -> None:
    older = next(item for item in shop.gate("restore").document["backups"] if item["schema_head"] == "0004")
    ran = restore(shop, older["id"])
    assert (ran.code, ran.document["outcome"]) == (3, "REFUSED")
    assert "has the schema 0004; 1.1.0, which serves, needs 0005" in ran.reasons
    assert databases(shop) == {"store"}


@pytest.mark.parametrize(
    "fault", ["one bit", "cut short", "of another environment", "of another database", "other content"]
)
def test_a_backup_that_is_not_what_it_was_is_noticed_before_anything_is_touched(shop: Site, fault: str) -> None:
    made, was = taken(shop), oid(shop)
    file = shop.state / "backups" / f"{made}.dump"
    manifest = file.with_suffix(".json")
    content, told = file.read_bytes(), json.loads(manifest.read_text())
    if fault == "one bit":
        file.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    elif fault == "cut short":
        file.write_bytes(content[: len(content) // 2])
    elif fault == "of another environment":
        manifest.write_text(json.dumps(told | {"environment": "production"}))
    elif fault == "of another database":
        manifest.write_text(json.dumps(told | {"origin": told["origin"] | {"database": "another"}}))
    else:
        told["tables"]["public.sales"]["checksum"] = "1"
        manifest.write_text(json.dumps(told))
    try:
        ran = restore(shop, made)
    finally:
        for left in (file, manifest):
            left.unlink()
    assert (ran.code, ran.document["outcome"]) == (3, "REFUSED"), ran.told
    assert (oid(shop), databases(shop)) == (was, {"store"})
    assert shop.gate("status").document["unfinished"] is None


def test_data_that_does_not_pass_is_swapped_back(shop: Site) -> None:
    asked(shop, BREAK)
    bad = taken(shop)
    asked(shop, MEND)
    was = oid(shop)
    sell(shop, 5)
    sold = asked(shop, "SELECT count(*) FROM sales")
    ran = restore(shop, bad)
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), ran.told
    assert (oid(shop), asked(shop, "SELECT count(*) FROM sales")) == (was, sold)
    gone = f"store_restored_r{ran.document['deployment']}"
    assert databases(shop) == {"store", gone}
    assert any(gone in note for note in ran.document["notes"])


@pytest.mark.parametrize("step", ["swap", "prove"])
def test_killed_in_a_step(shop: Site, step: str) -> None:
    made, was = taken(shop), oid(shop)
    process = shop.start("restore", made, "--confirm", "local")
    newest = Store(SqliteFile(shop.state / "gate.db"))
    before = newest.deployments(1)[0].id

    def begun() -> bool:
        last = newest.deployments(1)[0]
        return last.id > before and any((e.step, e.kind) == (step, "do") for e in newest.events(last.id))

    assert wait_until(begun, timeout=60, every=0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert shop.deploy("1.1.0").code == 5
    ran = shop.gate("recover")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), ran.told
    assert oid(shop) == was
    left = databases(shop) - {"store"}
    assert left <= {f"store_restored_r{ran.document['deployment']}"}


def test_ctrl_c_while_it_is_restored(shop: Site) -> None:
    made, was = taken(shop), oid(shop)
    process = shop.start("restore", made, "--confirm", "local")
    assert wait_until(lambda: len(databases(shop)) > 1, timeout=60, every=0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    ran = Site.read(process.returncode, out, err)
    assert (ran.code, ran.document["outcome"]) == (130, "INTERRUPTED"), err
    assert (oid(shop), databases(shop)) == (was, {"store"})
