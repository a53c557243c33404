"""What it costs to watch the proxy's log. Run: python -m benchmarks.watching [--minutes 1]

Lines of 100 requests a second are read every 0.1 seconds, and only the reading is charged. Then 5,000 a second for a
minute, faster than real time, through rotations: how many lines a second are read, and what the reading keeps in
memory. Beside it what one would write oneself: json.loads of each line of the file, and of what tail -F prints.
Prints tables on standard error and one JSON document on standard output; exit code 1 when a line was not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from gate.live.observations import TICK, Requests, Role
from gate.signals.access_log import AccessLog

QUIET = 100
BUSY = 5_000
"""Requests a second."""
ROTATED_AT = 50 * 1024 * 1024
"""Bytes, as the proxy does it."""
PATHS = ("/", "/api/items", "/api/items/{}", "/api/carts/{}/lines", "/api/sales", "/api/sales/{}/receipt")
TARGET = 0.05
"""Share of one core that watching may cost at 100 requests a second."""
ORIGIN = 1_800_000_000.0


class Log:
    """The proxy's log, written a tick at a time and rotated."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "access.log"
        self.lines = 0
        self._stream = self.file.open("ab", buffering=0)
        self._random = random.Random(1)
        self._rotations = 0

    def tick(self, number: int, many: int) -> None:
        """``many`` requests that ended within one tick."""
        self._stream.write("".join(self._line((number + part / many) * TICK) for part in range(many)).encode())
        self.lines += many
        if self._stream.tell() > ROTATED_AT:
            self._stream.close()
            self.file.rename(self.file.with_name(f"access-2026-11-24T07-00-{self._rotations:02}.000-size.log"))
            self._rotations += 1
            self._stream = self.file.open("ab", buffering=0)

    def _line(self, at: float) -> str:
        chance = self._random
        path = chance.choice(PATHS).format(chance.randrange(1_000_000))
        instance, status = chance.choice(("r1", "r2")), 500 if chance.random() < 0.01 else 200
        entry = {
            "level": "info",
            "ts": ORIGIN + at,
            "logger": "http.log.access.access",
            "msg": "handled request",
            "request": {
                "remote_ip": "127.0.0.1",
                "remote_port": "38900",
                "client_ip": "127.0.0.1",
                "proto": "HTTP/1.1",
                "method": "GET",
                "host": "127.0.0.1:18080",
                "uri": path,
            },
            "bytes_read": 0,
            "user_id": "",
            "duration": chance.lognormvariate(-5, 1),
            "size": 116,
            "status": status,
            "uuid": str(uuid.UUID(int=chance.getrandbits(128))),
            "upstream": f"unix//srv/shop/.gate/live/rel/{instance}/web.sock",
            "service": "web",
        }
        return json.dumps(entry, separators=(",", ":")) + "\n"


@contextmanager
def growing() -> Iterator[tuple[Log, AccessLog]]:
    """An empty log and its reader."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        log = Log(Path(name))
        reader = AccessLog(log.file, {"r1": Role.STABLE, "r2": Role.CANDIDATE}, ORIGIN, {"/health"})
        yield log, reader
        reader.close()


def quiet(ticks: int) -> dict[str, Any]:
    """CPU seconds of reading at 100 requests a second, a read each tick."""
    spent, counted = 0.0, 0
    with growing() as (log, reader):
        for number in range(ticks):
            log.tick(number, round(QUIET * TICK))
            began = time.process_time()
            rows = reader.read()
            spent += time.process_time() - began
            counted += sum(row.count for row in rows if isinstance(row, Requests))
        assert counted == log.lines, (counted, log.lines)
    return {
        "requests_per_second": QUIET,
        "lines": counted,
        "microseconds_per_line": round(spent / counted * 1e6, 1),
        "share_of_a_core": round(spent / (ticks * TICK), 4),
        "target": TARGET,
    }


def busy(ticks: int) -> dict[str, Any]:
    """Throughput and memory at 5,000 requests a second. Runs in a process of its own."""
    spent, counted, slowest, memory = 0.0, 0, 0.0, []
    process = psutil.Process()
    with growing() as (log, reader):
        for number in range(ticks):
            log.tick(number, round(BUSY * TICK))
            began = time.process_time()
            rows = reader.read()
            took = time.process_time() - began
            spent, slowest = spent + took, max(slowest, took)
            counted += sum(row.count for row in rows if isinstance(row, Requests))
            memory.append(process.memory_info().rss)
        assert counted == log.lines, (counted, log.lines)
    third = ticks // 3
    return {
        "requests_per_second": BUSY,
        "lines": counted,
        "lines_per_cpu_second": round(counted / spent),
        "slowest_tick_ms": round(slowest * 1000, 1),
        "memory_mb": {
            "at the start": _megabytes(memory[0]),
            "after a third": _megabytes(memory[third]),
            "after two thirds": _megabytes(memory[2 * third]),
            "at the end": _megabytes(memory[-1]),
        },
    }


def others(lines: int) -> dict[str, Any]:
    """CPU seconds of the ways one would write oneself, and of ours, on one file of so many lines."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        log = Log(Path(name))
        ours = AccessLog(log.file, {"r1": Role.STABLE, "r2": Role.CANDIDATE}, ORIGIN)
        for number in range(lines // 500):
            log.tick(number, 500)
        spent = {
            "this gate: counted by tick, release and route": _cpu(lambda: _drained(ours)),
            "json.loads of each line, counted by status": _cpu(lambda: _loaded(log.file.read_text().splitlines())),
            "tail -F piped into the same": _cpu(lambda: _tailed(log.file, log.lines)),
        }
        ours.close()
    first = spent["json.loads of each line, counted by status"]
    return {
        way: {"microseconds_per_line": round(seconds / lines * 1e6, 1), "ratio": round(seconds / first, 2)}
        for way, seconds in spent.items()
    }


def _drained(reader: AccessLog) -> None:
    while reader.read():
        pass


def _loaded(lines: list[str]) -> Counter[int]:
    return Counter(json.loads(line)["status"] for line in lines)


def _tailed(file: Path, lines: int) -> None:
    tail = subprocess.Popen(["tail", "-n", "+1", "-F", str(file)], stdout=subprocess.PIPE, text=True)  # noqa: S607 - the tail of whoever runs this
    assert tail.stdout is not None
    statuses: Counter[int] = Counter()
    for line in tail.stdout:
        statuses[json.loads(line)["status"]] += 1
        if statuses.total() == lines:
            break
    tail.terminate()
    tail.wait(timeout=10)
    tail.stdout.close()


def _cpu(act: Callable[[], object]) -> float:
    """CPU seconds of this process and of children that ended meanwhile."""
    before = _spent()
    act()
    return _spent() - before


def _spent() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _megabytes(size: int) -> float:
    return round(size / 1024**2, 1)


def _alone(measure: Callable[[int], dict[str, Any]], size: int) -> dict[str, Any]:
    """A measurement in a fresh process, so that no other has left its memory behind."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (size,))


def _shown(result: dict[str, Any]) -> Table:
    table = Table("what", "figure", box=None)
    log = result["log"]
    table.add_row(
        f"share of a core at {QUIET} requests a second", f"{log['quiet']['share_of_a_core']:.2%} (target {TARGET:.0%})"
    )
    table.add_row("microseconds a line", str(log["quiet"]["microseconds_per_line"]))
    table.add_row(f"lines a CPU second at {BUSY:,} a second", f"{log['busy']['lines_per_cpu_second']:,}")
    for when, size in log["busy"]["memory_mb"].items():
        table.add_row(f"resident memory {when}", f"{size} MB")
    for way, each in log["others"].items():
        table.add_row(way, f"{each['microseconds_per_line']} µs a line, ratio {each['ratio']}")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="of simulated time, for each part")
    ticks = max(30, round(parser.parse_args().minutes * 60 / TICK))
    console = Console(stderr=True)
    with console.status("reading") as status:
        log = {"quiet": _alone(quiet, ticks)}
        status.update("reading 5,000 lines a second")
        log["busy"] = _alone(busy, ticks)
        status.update("reading as others do")
        log["others"] = _alone(others, 100_000)
    result = {"simulated_seconds": ticks * TICK, "log": log}
    console.print(_shown(result))
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
