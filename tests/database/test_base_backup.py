"""Base backups: where they are allowed, what proves them, and what comes out of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gate.config import Environment
from gate.database import backup, base_backup, fingerprint, manifest
from gate.database.cluster import Cluster
from gate.database.connection import connect
from gate.errors import DatabaseError
from gate.machine import shell
from gate.redact import Secret
from tests.database.project import run


@pytest.fixture
def allowed(server: Cluster) -> Iterator[None]:
    run(server.url(), "ALTER ROLE app REPLICATION")
    yield
    run(server.url(), "ALTER ROLE app NOREPLICATION")


@pytest.fixture
def environment(environment: Environment) -> Environment:
    assert environment.database is not None
    return with_backup(environment, "basebackup")


def with_backup(environment: Environment, kind: str) -> Environment:
    assert environment.database is not None
    database = environment.database.model_copy(update={"backup": kind})
    return environment.model_copy(update={"database": database})


def test_a_base_backup_becomes_a_dump_of_its_database(
    environment: Environment, allowed: None, shop: Secret, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    said: list[str] = []
    made = backup.create(environment, folder, label="r7", head="0004", progress=said.append)
    assert (made.kind, made.file) == ("basebackup", folder / f"{made.id}.base")
    assert {file.name for file in made.file.iterdir()} == {"base.tar", "pg_wal.tar", "backup_manifest"}
    verified = backup.verify(made, environment, progress=said.append)
    assert (verified.tables, verified.rows) == (7, 507)
    assert verified.how == "base backup, started, 7 tables equal, 0 written to meanwhile and whole"
    assert any(line.startswith("reading table 1 of ") for line in said)
    assert replace(manifest.read(manifest.path_of(made)), verified_at="") == made
    with backup.as_dump(made, environment, said.append) as (file, same):
        assert same.tables == fingerprint.data(shop)
        believed = replace(same, kind="dump", file=file, bytes=file.stat().st_size, sha256=backup._sha256(file))
        backup.verify(believed, environment)
    assert not list((environment.state_folder / "scratch").glob("scratch-*/pg/data/base.tar"))
    later = backup.create(with_backup(environment, "dump"), folder, label="r8", head="0004")
    backup.verify(later, environment)
    assert backup.prune(folder, keep=1, pinned=set()) == [made.id]
    assert {file.name for file in folder.iterdir()} == {"latest.json", f"{later.id}.dump", f"{later.id}.json"}


def test_tables_that_are_written_to_meanwhile(
    environment: Environment, allowed: None, shop: Secret, tmp_path: Path
) -> None:
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        with connect(shop) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO public.items (name, price) VALUES ('more', 1)")
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert shell.wait_until(lambda: len(written) > 5, timeout=10)
        made = backup.create(environment, tmp_path, label="busy")
    finally:
        stop.set()
        writer.join()
    assert set(made.moved) == {"public.items"}
    verified = backup.verify(made, environment)
    assert verified.how == "base backup, started, 6 tables equal, 1 written to meanwhile and whole"
    held = manifest.read(manifest.path_of(made))
    assert made.moved["public.items"] <= held.tables["public.items"].rows <= made.tables["public.items"].rows
    many = made.tables | {"public.items": fingerprint.TableFingerprint(900_000, "0")}
    with pytest.raises(DatabaseError, match=r"table public\.items: \d+ rows, never had fewer than about 900000"):
        backup.verify(replace(made, moved={"public.items": 900_000}, tables=many), environment)


def test_what_is_not_whole_is_noticed(environment: Environment, allowed: None, shop: Secret, tmp_path: Path) -> None:
    made = backup.create(environment, tmp_path, label="r7")
    other = {name: replace(table, checksum="1") for name, table in made.tables.items()}
    with pytest.raises(DatabaseError, match=r"started, is not what was live: table .* other content"):
        backup.verify(replace(made, tables=other), environment)
    listed = made.file / "backup_manifest"
    text = listed.read_text()
    at = text.index('"Checksum": "') + len('"Checksum": "')
    listed.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
    with pytest.raises(DatabaseError, match=r"changed since it was written"):
        backup.verify(made, environment)
    believed = replace(made, sha256=backup._sha256(made.file))
    with pytest.raises(DatabaseError, match=r"pg_verifybackup"):
        backup.verify(believed, environment)
    archive = made.file / "base.tar"
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(DatabaseError, match=r"bytes, was written with"):
        backup.verify(made, environment)
    cut = replace(made, sha256=backup._sha256(made.file), bytes=backup._length(made.file))
    with pytest.raises(DatabaseError, match=r"cannot be unpacked"):
        backup.verify(cut, environment)
    assert not (tmp_path / "latest.json").exists()


def test_where_it_is_not_allowed(environment: Environment, shop: Secret, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r'backup = "basebackup": the role .* has no REPLICATION') as caught:
        backup.create(environment, tmp_path, label="r7")
    assert caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_auto_says_why_a_large_one_is_dumped_all_the_same(
    environment: Environment, shop: Secret, server: Cluster
) -> None:
    auto = with_backup(environment, "auto").database
    assert auto is not None
    with connect(shop) as connection:
        kind, why = base_backup.choose(connection, auto, 2**20)
        assert kind == "dump"
        assert why == ""
        assert base_backup.choose(connection, auto, base_backup.PAYS_FROM) == (
            "dump",
            "no base backup: the role of [database] url has no REPLICATION",
        )
        run(server.url(), "ALTER ROLE app REPLICATION")
        try:
            assert base_backup.choose(connection, auto, base_backup.PAYS_FROM)[0] == "basebackup"
        finally:
            run(server.url(), "ALTER ROLE app NOREPLICATION")
