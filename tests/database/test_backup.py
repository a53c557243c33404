"""Backups: proven by restoring them, and every way in which one is not what it should be."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from gate.config import Environment
from gate.database import backup, manifest
from gate.database.connection import connect
from gate.database.dump import check_space, dump
from gate.database.manifest import Backup
from gate.errors import DatabaseError
from gate.machine import shell
from gate.machine.shell import wait_until
from gate.redact import Secret
from tests.database import project
from tests.database.project import PASSWORD, run
from tests.engine import disk

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def made(environment: Environment, folder: Path) -> Backup:
    return backup.create(environment, folder, label="r7")


def test_a_good_backup(environment: Environment, shop: Secret, folder: Path) -> None:
    said: list[str] = []
    made = backup.create(environment, folder, label="r7 before 1.1.0+x", head="0004", progress=said.append)
    assert made.id.endswith("Z-r7-before-1.1.0+x")
    assert made.file == folder / f"{made.id}.dump"
    assert (made.bytes, made.schema_head) == (made.file.stat().st_size, "0004")
    assert made.seconds > 0
    assert {path.name for path in folder.iterdir()} == {f"{made.id}.dump", f"{made.id}.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert manifest.read(manifest.path_of(made)) == made
    assert PASSWORD not in manifest.path_of(made).read_text()

    verified = backup.verify(made, environment, progress=said.append)
    assert (verified.tables, verified.rows) == (7, 507)  # six tables and the large objects
    latest = json.loads((folder / "latest.json").read_text())
    assert (latest["id"], latest["bytes"], latest["verified"]) == (made.id, made.bytes, True)
    finished = datetime.fromisoformat(latest["finished_at"])
    assert abs((datetime.now(UTC) - finished).total_seconds()) < 60
    steps = ("reading every table", "restoring", "comparing every table")
    assert [line for line in said if line in steps] == list(steps)
    assert sum(line.startswith("reading table 6 of 6, ") for line in said) == 2, "before and after"


def test_a_backup_of_an_empty_database(home: Path, live: Secret, folder: Path) -> None:
    environment = project.environment(home, live)
    made = backup.create(environment, folder, label="first")
    assert made.schema_head is None
    assert backup.verify(made, environment).rows == 0


def test_writing_goes_on_while_a_backup_is_made(environment: Environment, shop: Secret, folder: Path) -> None:
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        with connect(shop) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO public.items (name, price) VALUES ('more', 1)")
                connection.execute("UPDATE public.items SET price = price + 1 WHERE id <= 50")
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert shell.wait_until(lambda: len(written) > 5, timeout=10)
        made = backup.create(environment, folder, label="busy")
    finally:
        stop.set()
        writer.join()
    assert made.tables["public.items"].rows < 500 + len(written)
    backup.verify(made, environment)


def _flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 0x10
    file.write_bytes(content)


def test_a_file_that_changed_is_noticed(environment: Environment, made: Backup) -> None:
    _flip(made.file, made.bytes // 2)
    with pytest.raises(DatabaseError, match=r"changed since it was written"):
        backup.verify(made, environment)
    os.truncate(made.file, made.bytes - 100)
    with pytest.raises(DatabaseError, match=rf"{made.bytes - 100} bytes, was written with {made.bytes}"):
        backup.verify(made, environment)
    made.file.unlink()
    with pytest.raises(DatabaseError, match=r"cannot be read: No such file"):
        backup.verify(made, environment)
    assert not (made.file.parent / "latest.json").exists(), "none of these is a backup"


def _believed(made: Backup, file: Path) -> Backup:
    """The backup with another file that its manifest believes in: only restoring it can tell."""
    return replace(made, file=file, bytes=file.stat().st_size, sha256=backup._sha256(file))


def test_a_dump_damaged_before_its_checksum_was_taken(environment: Environment, made: Backup) -> None:
    os.truncate(made.file, made.bytes * 2 // 3)
    with pytest.raises(DatabaseError, match=r"pg_restore"):
        backup.verify(_believed(made, made.file), environment)


def test_another_databases_dump(environment: Environment, made: Backup, home: Path, live: Secret, folder: Path) -> None:
    run(live, "CREATE TABLE customers (id int)")
    other = backup.create(project.environment(home, live), folder, label="other")
    with pytest.raises(DatabaseError, match=r"restored, is not what was live: .*new: table public\.customers"):
        backup.verify(_believed(made, other.file), environment)
    with pytest.raises(DatabaseError, match=r"is of environment elsewhere, not of here"):
        backup.verify(replace(made, environment="elsewhere"), environment)


def test_a_row_that_is_not_as_it_was(environment: Environment, made: Backup, shop: Secret, folder: Path) -> None:
    run(shop, "UPDATE items SET name = 'Item 7' WHERE id = 7", "DROP VIEW cheap")
    later = backup.create(environment, folder, label="later")
    with pytest.raises(DatabaseError) as caught:
        backup.verify(_believed(made, later.file), environment)
    assert "table public.items: same number of rows (500), other content" in str(caught.value)
    assert "missing: view public.cheap" in str(caught.value)


def test_an_extension_that_cannot_be_had_here(environment: Environment, made: Backup) -> None:
    origin = replace(made.origin, extensions=("postgis",))
    with pytest.raises(DatabaseError, match=r"uses postgis, which the private PostgreSQL .* does not have"):
        backup.verify(replace(made, origin=origin), environment)


def test_a_server_newer_than_the_programs(shop: Secret, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"runs PostgreSQL 99; .*pg_dump is of version \d+ and cannot read it"):
        dump(shop, tmp_path / "x", server=99, compression=1, lock_timeout=1)


def test_a_server_that_is_away(home: Path, folder: Path) -> None:
    away = project.environment(home, Secret(f"postgresql://app:{PASSWORD}@127.0.0.1:1/shop"))
    with pytest.raises(DatabaseError, match=r"database shop at 127\.0\.0\.1:1 cannot be reached"):
        backup.create(away, folder, label="x")
    assert not folder.exists()


def test_a_table_that_stays_locked(environment: Environment, shop: Secret, folder: Path) -> None:
    with connect(shop) as holder, holder.transaction():
        holder.execute("LOCK TABLE public.items")
        with pytest.raises(DatabaseError, match="waited longer than lock_timeout"):
            backup.create(environment, folder, label="x")
    assert list(folder.iterdir()) == []


DUMPING = """
import sys
from pathlib import Path
from gate.database import binaries
from gate.database.dump import dump
from gate.redact import Secret
dump(Secret(sys.argv[1]), Path(sys.argv[2]), server=binaries.major(), compression=1, lock_timeout=60)
"""


def test_a_dump_does_not_outlive_the_gate_that_is_killed(shop: Secret, tmp_path: Path) -> None:
    """It would fill the disk with a file that ``recover`` has removed, and keep its locks on the live database."""
    file = tmp_path / "x.dump"
    argv = [sys.executable, "-c", DUMPING, shop.reveal(), str(file)]
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'"
    with connect(shop) as holder, holder.transaction():
        holder.execute("LOCK TABLE public.items")
        gate = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            assert wait_until(lambda: bool(run(shop, waits)), timeout=60, every=0.1), "no pg_dump waits"
            (dumping,) = _pg_dumps(file)
        finally:
            gate.kill()
            gate.wait(timeout=10)
        assert wait_until(lambda: not dumping.is_running(), timeout=10)


def _pg_dumps(file: Path) -> list[psutil.Process]:
    """The processes of pg_dump that write a file."""
    running = psutil.process_iter(["name", "cmdline"])
    return [each for each in running if each.info["name"] == "pg_dump" and f"--file={file}" in each.info["cmdline"]]


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """No file this process and its children write may grow larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_meanwhile(environment: Environment, shop: Secret, folder: Path) -> None:
    run(shop, "INSERT INTO items (name, price) SELECT md5(i::text), i FROM generate_series(1, 20000) i")
    with _largest_file(100_000), pytest.raises(DatabaseError, match=r"pg_dump.*MB free in") as caught:
        backup.create(environment, folder, label="x")
    assert PASSWORD not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_disk_without_room(environment: Environment, tmp_path: Path) -> None:
    with disk.tiny(tmp_path / "disk", "8m") as place:
        with pytest.raises(
            DatabaseError, match=r"needs \d+\.\d MB in .*, only [78]\.\d MB are free; nothing was written"
        ):
            backup.create(environment, place / "backups", label="x")
        assert list((place / "backups").iterdir()) == []


@pytest.mark.parametrize("at", ["dump", "manifest"])
def test_a_disk_that_is_full_when_it_is_written(environment: Environment, tmp_path: Path, at: str) -> None:
    """No space at all for the dump; or room for it, and not for the manifest beside it."""
    room = backup.create(environment, tmp_path, label="before").bytes if at == "manifest" else 0

    def fill(step: str) -> None:
        if step == "reading every table":
            disk.fill(place)
            os.truncate(place / "filler", (place / "filler").stat().st_size - (room + 4095) // 4096 * 4096)

    with disk.tiny(tmp_path / "disk", "200m") as place:
        folder = place / "backups"
        with pytest.raises(DatabaseError, match=r"pg_dump.*free in|No space left on device"):
            backup.create(environment, folder, label="x", progress=fill)
        assert list(folder.iterdir()) == [], "neither a dump nor a manifest of one"
        (place / "filler").unlink()
        made = backup.create(environment, folder, label="y")
        assert backup.available(folder) == [made]


def test_a_disk_that_fills_up_while_it_is_proven(live: Secret, tmp_path: Path) -> None:
    run(live, "CREATE TABLE items AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i")

    def fill(step: str) -> None:
        if step == "restoring":
            disk.fill(root)

    with disk.tiny(tmp_path / "d", "400m") as root:
        environment = project.environment(root, live)
        folder = environment.state_folder / "backups"
        made = backup.create(environment, folder, label="x")
        with pytest.raises(DatabaseError, match="pg_restore"):
            backup.verify(made, environment, progress=fill)
        assert not (folder / "latest.json").exists()
        assert not list((environment.state_folder / "scratch").glob("scratch-*"))


def test_room_is_asked_for_in_numbers(tmp_path: Path) -> None:
    assert backup.space_needed(100 * 2**20) == (150 + 64) * 2**20
    with pytest.raises(DatabaseError, match=r"a backup needs \d+\.0 MB in .*, only .* are free") as caught:
        check_space(tmp_path, 2**60, "a backup")
    assert caught.value.next_step


def proven(environment: Environment, folder: Path, label: str, head: str | None = None) -> Backup:
    """A backup as one looks that was proven, without the time that takes."""
    made = backup.create(environment, folder, label=label, head=head)
    made = replace(made, verified_at=made.taken_at.isoformat())
    manifest.write(made)
    return made


def test_a_backup_that_was_never_proven_keeps_no_place_and_is_not_the_latest(
    environment: Environment, folder: Path
) -> None:
    way_back = proven(environment, folder, "r1", "0001")
    shorter = proven(environment, folder, "r2", "0001")
    shorter.file.write_bytes(b"x")
    killed = backup.create(environment, folder, label="r3", head="0001")
    newest = proven(environment, folder, "r4", "0002")
    failed = backup.create(environment, folder, label="r5", head="0002")
    assert backup.prune(folder, keep=1, pinned=set()) == [killed.id, shorter.id]
    assert [item.id for item in backup.available(folder)] == [failed.id, newest.id, way_back.id]
    assert [item.verified_at != "" for item in backup.available(folder)] == [False, True, True]


def test_verifying_is_written_down_and_an_earlier_gates_backups_count(environment: Environment, folder: Path) -> None:
    made = backup.create(environment, folder, label="r1")
    assert not made.verified_at
    backup.verify(made, environment)
    (found,) = backup.available(folder)
    assert found.verified_at
    file = manifest.path_of(found)
    document = json.loads(file.read_text())
    del document["verified_at"]
    file.write_text(json.dumps(document))
    (found,) = backup.available(folder)
    assert found.verified_at == found.taken_at.isoformat()


def test_old_backups_go_and_pinned_ones_stay(environment: Environment, folder: Path) -> None:
    ids = [proven(environment, folder, f"r{number}").id for number in range(4)]
    (folder / "20260101-killed.partial").touch()
    (folder / "20260101-orphan.dump").touch()
    assert [item.id for item in backup.available(folder)] == ids[::-1]
    assert backup.prune(folder, keep=2, pinned={ids[0]}) == [ids[1]]
    left = {name for kept in (ids[0], ids[2], ids[3]) for name in (f"{kept}.dump", f"{kept}.json")}
    assert {path.name for path in folder.iterdir()} == left
    assert backup.prune(folder, keep=2, pinned={ids[0]}) == []


def test_the_way_back_to_the_schema_before_the_last_migration_stays(environment: Environment, folder: Path) -> None:
    heads = ["0004", "0005", "0005", "0006", "0006", "0006"]
    made = [proven(environment, folder, f"r{number}") for number in range(len(heads))]
    for item, head in zip(made, heads, strict=True):
        manifest.write(replace(item, schema_head=head))
    assert backup.prune(folder, keep=1, pinned=set()) == [made[number].id for number in (4, 3, 1, 0)]
    assert [item.schema_head for item in backup.available(folder)] == ["0006", "0005"]


def test_young_backups_stay(environment: Environment, folder: Path) -> None:
    young, old, older = (proven(environment, folder, name) for name in ("young", "old", "older"))
    for item, days in ((old, 3), (older, 8)):
        manifest.write(replace(item, taken_at=item.taken_at - timedelta(days=days)))
    assert backup.prune(folder, keep=1, pinned=set(), days=7) == [older.id]
    assert [item.id for item in backup.available(folder)] == [young.id, old.id]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-5],
        lambda _: "[]",
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"sha256"', '"sha512"'),
        lambda text: text.replace('"rows"', '"row"'),
    ],
    ids=["cut", "list", "format", "key", "nested key"],
)
def test_a_manifest_that_is_none(tmp_path: Path, made: Backup, spoil: Callable[[str], str]) -> None:
    file = tmp_path / "20260101T000000Z-x.json"
    file.write_text(spoil(manifest.path_of(made).read_text()))
    with pytest.raises(DatabaseError, match=r"20260101T000000Z-x\.json: "):
        backup.available(tmp_path)


def test_no_database_no_backup(environment: Environment, folder: Path) -> None:
    with pytest.raises(DatabaseError, match=r"here\.toml: there is no \[database\] to back up"):
        backup.create(environment.model_copy(update={"database": None}), folder, label="x")
