"""What a switch and a rollback cost the shop's customers. Run: python -m benchmarks.switchover [--cycles 100]

Keep-alive customers post orders the whole time and never retry. A cycle is a good deployment (start, probe, promote,
drain, stop the release before) and one that is taken back (start, promote, roll back, drain, stop the candidate).
Prints a table on standard error and one JSON document on standard output; exit code 1 when a request failed or an
acknowledged order is not in the database.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.table import Table

from example.customers import Customers, Tally
from gate import environments
from gate.config import Environment
from gate.database import migrations
from gate.engines.base import Instance
from gate.engines.process import ProcessEngine
from gate.machine.shell import wait_until
from gate.releases import Source
from gate.stack import Stack

REPOSITORY = Path(__file__).parents[1]
VERSIONS = ("1.0.0", "1.1.0")
T = TypeVar("T")


@contextmanager
def shop() -> Iterator[Environment]:
    """The shop in a folder and on ports of its own, its servers up, its schema the newest release's."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        root = Path(name)
        (root / "environments").mkdir()
        (root / "example").symlink_to(REPOSITORY / "example")
        text = (REPOSITORY / "environments" / "local.toml").read_text()
        for port in ("18080", "15432", "16379"):
            text = re.sub(rf"\b{port}\b", str(_free_port()), text)
        (root / "environments" / "local.toml").write_text(text)
        environment = environments.load("local", root)
        engine = ProcessEngine(environment)
        try:
            Stack(environment).up()
            tool = migrations.create(environment, Source(environment).get(VERSIONS[-1]))
            assert tool is not None
            assert environment.database is not None
            tool.upgrade(environment.database.url)
            yield environment
        finally:
            for instance in engine.instances():
                engine.stop(instance, grace=1)
            Stack(environment).down()


class Switches:
    """Deploys and rolls back again and again, and keeps the time of every act."""

    def __init__(self, environment: Environment) -> None:
        self._engine = ProcessEngine(environment)
        self._releases = [Source(environment).get(version) for version in VERSIONS]
        self._started = 0
        self.seconds: dict[str, list[float]] = {}

    def first(self) -> Instance:
        instance = self._start()
        self._engine.promote(instance)
        return instance

    def cycle(self, stable: Instance) -> Instance:
        """A deployment that is kept, then one that is taken back; returns what serves then."""
        kept = self._start()
        self._timed("switch", lambda: self._engine.promote(kept))
        self._retire(stable)
        taken_back = self._start()
        self._timed("switch", lambda: self._engine.promote(taken_back))
        self._timed("rollback", lambda: self._engine.promote(kept))
        self._retire(taken_back)
        return kept

    def _start(self) -> Instance:
        """The next release, healthy, and proven through the front door to be itself."""
        self._started += 1
        release = self._releases[self._started % len(self._releases)]

        def begin() -> Instance:
            instance = self._engine.start(release, f"r{self._started}")
            healthy = wait_until(lambda: all(s.healthy for s in self._engine.health(instance)), timeout=60)
            assert healthy, self._engine.logs(instance)
            return instance

        instance = self._timed("start until healthy", begin)
        door = self._engine.endpoint(instance)
        answer = httpx.get(f"{door.url}/version", headers=dict(door.headers), timeout=15, trust_env=False)
        assert answer.json()["version"] == release.version
        return instance

    def _retire(self, instance: Instance) -> None:
        drained = self._timed("drain", lambda: self._engine.drain(instance, 30))
        assert drained.complete
        stopped = self._timed("stop", lambda: self._engine.stop(instance))
        assert not any(service.killed for service in stopped)
        self._engine.prune(set())

    def _timed(self, name: str, act: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = act()
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)
        return result


def measure(cycles: int, customers: int, progress: Callable[[int], None]) -> dict[str, Any]:
    """Runs the cycles under load and returns what was counted and measured."""
    with shop() as environment:
        switches = Switches(environment)
        stable = switches.first()
        began = time.perf_counter()
        with Customers(environment.app.url, count=customers).shopping() as tally:
            for number in range(1, cycles + 1):
                stable = switches.cycle(stable)
                progress(number)
        spent = time.perf_counter() - began
        assert environment.database is not None
        lost = tally.lost(environment.database.url.reveal())
    return {
        "cycles": cycles,
        "customers": customers,
        "seconds": round(spent, 1),
        "requests": tally.attempted,
        "failed_requests": len(tally.failures),
        "failures": sorted(set(tally.failures)),
        "orders_acknowledged": len(tally.acknowledged),
        "orders_lost": len(lost),
        "longest_gap_ms": round(tally.longest_gap * 1000, 1),
        "milliseconds": {name: _spread(values) for name, values in _times(switches, tally).items()},
    }


def _times(switches: Switches, tally: Tally) -> dict[str, list[float]]:
    return {**switches.seconds, "request": tally.seconds}


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(value * 1000 for value in seconds)
    at = {"p50": statistics.median(ordered), "p95": ordered[int(0.95 * (len(ordered) - 1))], "max": ordered[-1]}
    return {"n": len(ordered)} | {name: round(value, 1) for name, value in at.items()}


def _shown(result: dict[str, Any]) -> Table:
    table = Table("what", "n", "p50 ms", "p95 ms", "max ms", box=None)
    for name, spread in result["milliseconds"].items():
        table.add_row(name, *(f"{spread[key]:,}" for key in ("n", "p50", "p95", "max")))
    table.caption = (
        f"{result['requests']:,} requests of {result['customers']} customers in {result['seconds']} s, "
        f"{result['failed_requests']} failed; {result['orders_acknowledged']:,} orders acknowledged, "
        f"{result['orders_lost']} lost; longest gap between two answers {result['longest_gap_ms']} ms"
    )
    return table


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--customers", type=int, default=6)
    arguments = parser.parse_args()
    console = Console(stderr=True)
    with console.status("starting the shop") as status:
        result = measure(
            arguments.cycles,
            arguments.customers,
            lambda done: status.update(f"{done} of {arguments.cycles} cycles"),
        )
    console.print(_shown(result))
    print(json.dumps(result, indent=1))
    return 1 if result["failed_requests"] or result["orders_lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
