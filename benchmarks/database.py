"""What a proven backup, a rehearsal and a restore cost, beside plain pg_dump and pg_restore.

    python -m benchmarks.database [--megabytes 10 200 1000]

For each size a table of sales is filled on a private PostgreSQL, under a client that changes one row every few
milliseconds. Measured are: plain ``pg_dump`` and ``pg_restore`` into an empty database; the backup (dump, and every
table counted and summed from the same moment); its proof (restored into a private server, every table compared); the
rehearsal of a migration (a private copy, up, down, compared, up again); and the restore (beside, compared, swapped by
name). For each, also what the client felt. Prints a table on standard error and one JSON document on standard output.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from gate.config import Environment
from gate.database import backup, binaries, copy, swap
from gate.database.cluster import Cluster, scratch
from gate.database.dump import restore
from gate.database.manifest import Backup
from gate.redact import Secret
from gate.releases import Release
from tests.database import project

_LIMIT = 1800
_IDLE = 5.0  # seconds of the client alone, to compare with
_SALE = """
    INSERT INTO sales (at, sku, cents, receipt)
    SELECT now() - i * interval '1 second', 'sku-' || i % 997, i % 5000, md5(i::text) || md5((i * 7)::text)
    FROM generate_series({first}, {last}) i
"""
_AT_ONCE = 50_000
_INDEXED = project.revision(
    "0001",
    None,
    'op.execute("ALTER TABLE sales ADD COLUMN note text")',
    'op.execute("ALTER TABLE sales DROP COLUMN note")',
)


def fill(url: Secret, megabytes: int) -> None:
    """Sales until the database has that size."""
    project.run(url, "CREATE TABLE sales (id bigserial PRIMARY KEY, at timestamptz, sku text, cents int, receipt text)")
    first = 1
    while project.run(url, "SELECT pg_database_size(current_database())")[0][0] < megabytes * 2**20:
        project.run(url, _SALE.format(first=first, last=first + _AT_ONCE - 1))
        first += _AT_ONCE
    project.run(url, "CREATE INDEX ON sales (sku)", "ANALYZE")


def client(url: str, ended: Event, pipe: Any) -> None:
    """Changes one row after another, connecting anew where it is cut off; sends when and for how long, in seconds."""
    took: list[tuple[float, float]] = []
    connection = psycopg.connect(url, autocommit=True)
    pipe.send("ready")
    number = 0
    while not ended.wait(0.003):
        number = number % 9973 + 1
        began = time.monotonic()
        while True:
            try:
                if connection.closed:
                    connection = psycopg.connect(url, autocommit=True, connect_timeout=30)
                connection.execute("UPDATE sales SET cents = cents + 1 WHERE id = %s", [number])
                break
            except psycopg.OperationalError:  # the swap ended its session, or took the name while it connected
                connection.close()
        took.append((began, time.monotonic() - began))
    connection.close()
    pipe.send(took)


def measured(environment: Environment, url: Secret, server: Cluster) -> dict[str, tuple[float, float]]:
    """When each way began and ended."""
    release = project.release(environment.root / "release", _INDEXED)
    folder = environment.state_folder / "backups"
    folder.mkdir(parents=True, exist_ok=True)
    file = environment.root / "plain.dump"
    admin = server.url()
    project.run(admin, "CREATE DATABASE plain OWNER app")
    plain = swap.at(url, "plain")
    made: list[Backup] = []
    database = environment.database
    assert database is not None
    whole = environment.model_copy(update={"database": database.model_copy(update={"backup": "basebackup"})})
    copied: list[Backup] = []

    def back() -> None:
        assert environment.database is not None
        swap.make_beside(admin, "live", "beside")
        restore(made[0].file, swap.at(url, "beside"), private=False)
        backup.compare(made[0], swap.at(url, "beside"), binaries.major())

    ways: dict[str, Callable[[], object]] = {
        "nothing else": lambda: threading.Event().wait(_IDLE),
        "pg_dump": lambda: tool("pg_dump", "-Fc", "-f", str(file), "-d", url.reveal()),
        "pg_restore": lambda: tool("pg_restore", "--no-owner", "-d", plain.reveal(), str(file)),
        "backup": lambda: made.append(backup.create(environment, folder, label="r1")),
        "its proof": lambda: backup.verify(made[0], environment),
        "base backup": lambda: copied.append(backup.create(whole, folder, label="r2")),
        "its proof, started": lambda: backup.verify(copied[0], whole),
        "rehearsal": lambda: rehearsed(environment, release),
        "restore beside": back,
        "swap": lambda: swap.swap(admin, live="live", comes="beside", leaves="before"),
    }
    found = {}
    for name, act in ways.items():
        began = time.monotonic()
        act()
        found[name] = (began, time.monotonic())
    return found


def rehearsed(environment: Environment, release: Release) -> None:
    assert copy.dry_run(environment, release).equal


def tool(name: str, *words: str) -> None:
    subprocess.run([binaries.tool(name), *words], check=True, capture_output=True, timeout=_LIMIT)


def one_size(megabytes: int, console: Console) -> dict[str, Any]:
    """Every way on a database of one size."""
    with tempfile.TemporaryDirectory(prefix="bench-db-") as place:
        root = Path(place)
        with scratch(root / "server") as server:
            project.run(
                server.url(),
                f"CREATE ROLE app LOGIN REPLICATION PASSWORD '{project.PASSWORD}'",
                "CREATE DATABASE live OWNER app",
            )
            url = server.url("live", "app", project.PASSWORD)
            console.print(f"filling {megabytes} MB")
            fill(url, megabytes)
            spawn = multiprocessing.get_context("spawn")
            ours, theirs = spawn.Pipe()
            ended = spawn.Event()
            customer = spawn.Process(target=client, args=(url.reveal(), ended, theirs))
            customer.start()
            theirs.close()
            ours.recv()
            found = measured(project.environment(root, url, maintenance_url=server.url().reveal()), url, server)
            ended.set()
            took = ours.recv()
            customer.join(10)
    rows = {name: row(began, until, took) for name, (began, until) in found.items()}
    plain = rows["pg_dump"]["seconds"] + rows["pg_restore"]["seconds"]
    proven = rows["backup"]["seconds"] + rows["its proof"]["seconds"]
    return {"megabytes": megabytes, "rows": rows, "proven_to_plain": round(proven / plain, 2)}


def row(began: float, until: float, took: list[tuple[float, float]]) -> dict[str, Any]:
    """Seconds of one way, and the milliseconds that the client's changes took meanwhile."""
    felt = sorted(1000 * seconds for at, seconds in took if began <= at <= until)
    if not felt:
        return {"seconds": round(until - began, 2), "p50_ms": None, "p99_ms": None}
    return {
        "seconds": round(until - began, 2),
        "p50_ms": round(felt[len(felt) // 2], 2),
        "p99_ms": round(felt[int(len(felt) * 0.99)], 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 200, 1000])
    arguments = parser.parse_args()
    console = Console(stderr=True)
    sizes = [one_size(megabytes, console) for megabytes in arguments.megabytes]
    table = Table("MB", "way", "seconds", "client p50 ms", "p99 ms", box=None)
    for size in sizes:
        for name, each in size["rows"].items():
            table.add_row(str(size["megabytes"]), name, *(str(each[key]) for key in ("seconds", "p50_ms", "p99_ms")))
    console.print(table)
    print(json.dumps({"sizes": sizes}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
