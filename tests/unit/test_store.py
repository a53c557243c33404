"""What the gate remembers, in a file and in a shared PostgreSQL alike; and the schema it is remembered in."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gate.approval.book import Book
from gate.approval.checklists import Tick as ListTick
from gate.approval.debts import Debt
from gate.approval.signoffs import SignOff, Subject
from gate.database.cluster import Cluster, scratch
from gate.errors import OperationFailed
from gate.judging.gaps import Changes, Seen
from gate.monitoring import ticks
from gate.monitoring.phases import Tick
from gate.records import schema
from gate.records.ledger import Ledger
from gate.records.place import Place
from gate.records.postgres import PostgresSchema, lock_key, schema_name
from gate.records.sqlite import SqliteFile
from gate.records.store import FLAKY, Flake, Store
from gate.redact import Secret
from gate.results import Decision, Outcome, Severity

# What a gate of version 0.1.0 made of its file before the schema of records had numbers.
UNNUMBERED = """
CREATE TABLE deployments (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, action VARCHAR NOT NULL, version VARCHAR NOT NULL,
    digest VARCHAR NOT NULL, "commit" VARCHAR, folder VARCHAR NOT NULL, stable_version VARCHAR,
    stable_instance VARCHAR, "by" VARCHAR NOT NULL, started_at VARCHAR NOT NULL, ended_at VARCHAR, outcome VARCHAR,
    reasons JSON NOT NULL, cases INTEGER NOT NULL, checks INTEGER NOT NULL, report VARCHAR
);
CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, deployment INTEGER NOT NULL REFERENCES deployments (id),
    at VARCHAR NOT NULL, step VARCHAR NOT NULL, kind VARCHAR NOT NULL, facts JSON NOT NULL
);
CREATE INDEX ix_events_deployment ON events (deployment);
INSERT INTO deployments VALUES (
    7, 'deploy', '1.0.0', 'sha256:0', NULL, 'releases/1.0.0', NULL, NULL, 'alice@ops', '2026-11-01T02:00:00.000+00:00',
    '2026-11-01T02:01:00.000+00:00', 'RELEASED', '["all is well"]', 18, 23, 'reports/local/7/report.html'
);
INSERT INTO events VALUES (1, 7, '2026-11-01T02:00:01.000+00:00', 'backup', 'do', '{"a": 1}');
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with scratch(tmp_path_factory.mktemp("s")) as made:
        yield made


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place of each kind."""
    if request.param == "file":
        return SqliteFile(tmp_path / "gate.db")
    cluster: Cluster = request.getfixturevalue("cluster")
    return PostgresSchema(cluster.url("postgres"), f"records_{uuid.uuid4().hex[:12]}")


def deployed(store: Store, outcome: Outcome | None, *flaky: str, action: str = "deploy") -> int:
    named: dict[str, Any] = dict.fromkeys(("version", "digest", "folder", "by"), "x")
    number = store.begin(action=action, commit=None, stable_version=None, stable_instance=None, **named)
    store.write(number, "smoke", "do", {"share": 0.5, "nested": {"ü": ["'", '"', "\n"]}})
    for case in flaky:
        store.write(number, "candidate", FLAKY, {"case": case, "message": "why"})
    if outcome is not None:
        store.end(number, outcome, ["it's so"], cases=1, checks=1, report=None)
    return number


def test_what_is_written_is_read_by_another_process(place: Place) -> None:
    first = deployed(Store(place), Outcome.RELEASED)
    second = deployed(Store(place), None)
    again = Store(place)
    assert [(item.id, item.outcome) for item in again.deployments()] == [(second, None), (first, Outcome.RELEASED)]
    assert again.deployments()[1].reasons == ["it's so"]
    assert again.events(first)[0].facts == {"share": 0.5, "nested": {"ü": ["'", '"', "\n"]}}
    assert again.unfinished() == again.deployments(1)[0]
    assert [item.id for item in again.accepted()] == [first]


def test_a_number_is_given_above_what_is_left_and_never_twice(place: Place) -> None:
    facts: dict[str, Any] = dict.fromkeys(("version", "digest", "folder", "by"), "x")
    facts |= {"action": "deploy", "commit": None, "stable_version": None, "stable_instance": None}
    store = Store(place)
    numbers = [store.begin(above=above, **facts) for above in (0, 40, 0, 12)]
    assert numbers[1] == 41
    assert numbers == sorted(set(numbers))


def test_what_people_sign_and_what_is_found_is_kept_alike(place: Place) -> None:
    store = Store(place)
    number, at = deployed(store, Outcome.RELEASED), datetime(2026, 11, 29, 2, tzinfo=UTC)
    subject = Subject("store", "production", "1.1.0", "d", "m", "s", "p", "", "ines")
    item = SignOff("business", "carol", "carol@ops", subject, at, at + timedelta(days=30), signature="-----BEGIN\n")
    tick = ListTick("on-call", "On-call's ready", "d", "1.1.0", True, "bob", "bob@ops", at)
    debt = Debt(number, "it's down", "dora", ("dora", "ci"), at, subject, ("business",), ("window: closed",))
    look = Tick(number, 3, at, 1.5, Decision.ROLLBACK, ("down\0",), ("few",))
    book = Book(store)
    book.sign(item)
    book.tick(tick)
    book.owe(debt)
    book.settle(number, at)
    ticks.acted(store, ticks.add(store, look), "alerted")
    seen = Seen("checks/test_x.py::test_y", "Security", Severity.HIGH, "a title", "not\0 as it should be")
    Ledger(store).track(number, Changes((seen,), (), (), ()))
    again = Store(place)
    (found,) = Book(again).signoffs(version="1.1.0")
    assert replace(found, id=0) == item
    assert Book(again).ticks("d") == [tick]
    assert Book(again).debts() == [replace(debt, settled_at=at)]
    assert [replace(one, id=0) for one in ticks.of(again, number)] == [replace(look, acted="alerted")]
    assert [gap.seen.message for gap in Ledger(again).gaps()] == ["not as it should be"]
    Book(again).revoke([found], "carol", at)
    assert [one.revoked_by for one in Book(store).signoffs(version="1.1.0")] == ["carol"]


def test_flakes_of_the_last_deployments(place: Place) -> None:
    store = Store(place)
    assert store.flakes(20) == []
    old = deployed(store, Outcome.RELEASED, "a", "b")
    bad = deployed(store, Outcome.ROLLED_BACK, "c")
    now = deployed(store, None, "d")
    assert store.flakes(3) == [Flake(old, "a"), Flake(old, "b"), Flake(bad, "c"), Flake(now, "d")]
    assert store.flakes(2) == [Flake(bad, "c"), Flake(now, "d")]


def test_what_touched_nothing_and_what_went_back_makes_no_flake_older(place: Place) -> None:
    store = Store(place)
    old = deployed(store, Outcome.RELEASED, "a")
    for outcome in (Outcome.REFUSED, Outcome.PLANNED):
        deployed(store, outcome)
    deployed(store, Outcome.ROLLED_BACK, action="rollback")
    assert store.flakes(1) == [Flake(old, "a")]


def test_a_file_from_before_records_had_numbers_is_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "gate.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(UNNUMBERED)
    store = Store(SqliteFile(file))
    (old,) = store.deployments()
    assert (old.id, old.outcome, old.reasons, old.report) == (
        7,
        Outcome.RELEASED,
        ["all is well"],
        "reports/local/7/report.html",
    )
    assert store.events(7)[0].facts == {"a": 1}
    assert deployed(store, None) == 8


def test_records_of_a_newer_gate_are_left_alone(place: Place) -> None:
    engine = place.open()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OperationFailed, match="9999") as fault:
        Store(place)
    assert fault.value.next_step == "install the newer gate here too"


def test_the_migrations_end_where_the_store_begins(place: Place) -> None:
    """What the migrations make is what the store reads, and every revision is known by its number."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    revisions = [item.revision for item in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == schema.REVISIONS
    store = Store(place)
    columns = {item["name"] for item in sa.inspect(place.open()).get_columns("deployments")}
    number = deployed(store, Outcome.RELEASED)
    assert columns == set(vars(store.deployments()[0]))
    assert number == store.deployments()[0].id


def test_a_debt_from_before_names_the_commit_of_its_deployment(place: Place) -> None:
    """What was signed for named no commit before revision 0006: whose release it was is still known of a debt."""
    from alembic import command
    from alembic.config import Config

    facts: dict[str, Any] = dict.fromkeys(("version", "digest", "folder", "by"), "x")
    facts |= {"action": "deploy", "commit": "c" * 40, "stable_version": None, "stable_instance": None}
    number = Store(place).begin(**facts)
    texts = ("reason", "by", "application", "environment", "version", "digest", "migrations", "suite", "policy")
    with place.open().begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
        config.set_main_option("path_separator", "os")
        command.downgrade(config, "0005")
        debts = sa.Table("debts", sa.MetaData(), autoload_with=connection)
        assert not {"commit", "author"} & set(debts.columns.keys())
        row = dict.fromkeys(texts, "x") | {"roles": ["technical"], "skipped": [], "deployers": []}
        at = "2026-11-01T02:00:00+00:00"
        connection.execute(sa.insert(debts).values(deployment=number, at=at, **row))
    (debt,) = Book(Store(place)).debts()
    assert (debt.subject.commit, debt.subject.author, debt.roles) == ("c" * 40, "", ("technical",))


def test_two_that_begin_at_once_migrate_once(place: Place) -> None:
    import threading

    faults: list[BaseException] = []

    def begin() -> None:
        try:
            Store(place)
        except BaseException as fault:  # noqa: BLE001 - told below
            faults.append(fault)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []


@pytest.mark.parametrize("missing", ["database", "server"])
def test_a_server_that_cannot_be_used_is_told_without_its_password(cluster: Cluster, missing: str) -> None:
    url = cluster.url("nobody_made_it") if missing == "database" else Secret("postgresql://a:hidden7@127.0.0.1:1/x")
    with pytest.raises(OperationFailed, match="the gate's own records cannot be used") as fault:
        Store(PostgresSchema(url, "records"))
    assert "hidden7" not in str(fault.value)
    assert "rollback works without it" in str(fault.value.next_step)


def test_names_of_schemas() -> None:
    assert schema_name("store", "production") == "deploy_gate_store_production"
    odd = [schema_name("Store", "production"), schema_name("sto re", "production"), schema_name("x" * 80, "production")]
    assert len({*odd, "deploy_gate_store_production"}) == 4
    assert all(len(name) <= 63 and name.replace("_", "").isalnum() for name in odd)
    assert -(2**63) <= lock_key(odd[0]) < 2**63
