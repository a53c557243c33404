"""Healthy releases under live traffic: how many are wrongly taken back or held, and what watching costs.

Run: python -m benchmarks.healthy [--deploys 200] [--customers 4]

Customers of the shop post orders the whole time, in a process of their own. Again and again the next release is
started, given half of the traffic and then all of it, and watched as a deployment watches it; then the release before
is retired. Counts what the watch decided, and the CPU time this process spent while it watched. Prints a table on
standard error and one JSON document on standard output; exit code 1 when a healthy release was taken back.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.switchover import VERSIONS, shop
from example.customers import Customers
from gate.config import Environment
from gate.engines.base import Instance
from gate.engines.process import ProcessEngine
from gate.machine.shell import wait_until
from gate.releases import Source
from gate.results import Decision
from gate.watching.watch import Watch

CANARY, BAKE = (0.5, 20.0), (1.0, 4.0)
PAUSE = 0.03  # seconds between a customer's orders


def shopping(url: str, database: str, customers: int, pipe: Connection) -> None:
    """Shops until something comes through the pipe, then tells what the customers saw."""
    with Customers(url, count=customers, pause=PAUSE).shopping() as tally:
        pipe.send("open")
        pipe.recv()
    pipe.send((tally.attempted, len(tally.failures), len(tally.lost(database))))


class Deploys:
    """Canary deployments of a healthy release, and what the watch said about each."""

    def __init__(self, environment: Environment, console: Console) -> None:
        self._environment = environment
        self._console = console
        self._engine = ProcessEngine(environment)
        self._releases = [Source(environment).get(version) for version in VERSIONS]
        self._number = 0
        self.decided: Counter[str] = Counter()
        self.reasons: list[str] = []
        self.watched = self.spent = 0.0

    def start(self) -> Instance:
        self._number += 1
        instance = self._engine.start(self._releases[self._number % 2], f"r{self._number}")
        healthy = wait_until(lambda: all(state.healthy for state in self._engine.health(instance)), timeout=60)
        assert healthy, self._engine.logs(instance)
        return instance

    def promote(self, instance: Instance) -> None:
        self._engine.promote(instance)

    def deploy(self, stable: Instance) -> Instance:
        candidate = self.start()
        folder = self._environment.state_folder / f"live-{self._number}"
        watch = Watch(self._environment, ProcessEngine(self._environment), candidate, stable, folder)
        watch.start()
        began, cpu = time.monotonic(), time.process_time()
        decision = None
        for share, seconds in (CANARY, BAKE):
            self._engine.promote(candidate, share)
            watch.begin(share, seconds)
            wait_until(lambda: watch.standing.decision is not None, timeout=seconds + 30, every=0.1)
            decision = watch.standing.decision
            if decision is not Decision.GO:
                told = [f"{self._number}: {item.text}" for item in watch.standing.reasons]
                self._console.print("\n".join(told), highlight=False)
                self.reasons += told
                break
        self.watched += time.monotonic() - began
        self.spent += time.process_time() - cpu
        watch.stop()
        shutil.rmtree(folder)
        self.decided[str(decision)] += 1
        self._engine.promote(candidate)
        self._engine.drain(stable, 30)
        self._engine.stop(stable)
        self._engine.prune(set())
        return candidate


def measure(deploys: int, count: int, console: Console) -> dict[str, Any]:
    """Runs them all and returns what was counted."""
    with shop() as environment:
        assert environment.database is not None
        ours, theirs = multiprocessing.Pipe()
        run = Deploys(environment, console)
        stable = run.start()
        run.promote(stable)
        arguments = (environment.app.url, environment.database.url.reveal(), count, theirs)
        customers = multiprocessing.get_context("spawn").Process(target=shopping, args=arguments)
        customers.start()
        ours.recv()
        began = time.monotonic()
        for number in range(1, deploys + 1):
            stable = run.deploy(stable)
            if number % 10 == 0 or number == deploys:
                console.print(f"{number} of {deploys}: {dict(run.decided)}")
        seconds = time.monotonic() - began
        ours.send("close")
        attempted, failed, lost = ours.recv()
        customers.join(30)
    return {
        "deploys": deploys,
        "released": run.decided["GO"],
        "held": run.decided["HOLD"],
        "rolled_back": run.decided["ROLLBACK"],
        "reasons": run.reasons,
        "requests": attempted,
        "requests_per_second": round(attempted / seconds, 1),
        "failed_requests": failed,
        "orders_lost": lost,
        "seconds_watched": round(run.watched, 1),
        "watching_share_of_a_core": round(run.spent / run.watched, 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deploys", type=int, default=200)
    parser.add_argument("--customers", type=int, default=4)
    arguments = parser.parse_args()
    console = Console(stderr=True)
    result = measure(arguments.deploys, arguments.customers, console)
    table = Table("what", "count", box=None)
    for name, value in result.items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    print(json.dumps(result, indent=1))
    return 1 if result["rolled_back"] or result["failed_requests"] or result["orders_lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
