"""kill -9 of the gate at every line of its journal, and of its parts. Run: python -m benchmarks.kill_matrix

Customers of the shop post orders the whole time and never retry. Runs of each kind are walked: deployments that are
good, bad under live traffic, interrupted by a person in the bake or right before the end; deployments whose migration
users wait for, good and bad; a rollback by command, a restore, and what a person decides about a deployment that is
held. Each line of their journals is a point to die at: before it, after it, half-way to the next. After each kill
``recover`` runs, and everything is looked at: who serves and answers, which release has to and on which schema, locks,
processes, sockets, scratch servers, databases, orders and requests. Then the database, the cache, the proxy, the stable
release and the candidate are killed as each step of the good deployment begins; the gate ends by itself, ``up`` starts
what is gone, and the same is looked at (requests fail then).
Prints a table on standard error and one JSON document on standard output; exit code 1 when anything was found, or
nobody was killed. All of it takes hours; interrupted, it tells what it found until then. ``--kind``, ``--only`` and
``--every 3 --first 0`` do a part of it, which ``--onto`` adds to others.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.e2e.kill_kinds import GOOD, KINDS, PARTS, Kind
from tests.e2e.kill_matrix import Survived, matrix


def measure(kinds: list[Kind], first: int, every: int, only: list[str], console: Console) -> list[Survived]:
    """Kills at every ``every``-th point of each kind, then every ``every``-th part in the steps of the good one.

    SIGINT or SIGTERM ends it early: with what was found until then.
    """
    found: list[Survived] = []
    with suppress(KeyboardInterrupt), matrix() as run:
        for kind in kinds:
            console.print(f"walking {kind.name}")
            walked = run.walk(kind)
            points = walked[first::every] + (run.parts(walked)[first::every] if kind is GOOD else [])
            points = [point for point in points if not only or point.victim in only]
            for number, point in enumerate(points, start=1):
                survived = run.kill(point) if point.victim == "gate" else run.lose(point)
                found.append(survived)
                told = "; ".join(survived.faults) or survived.outcome
                console.print(f"{number} of {len(points)}  {point.told}: {told}", highlight=False)
    return found


def summary(found: list[Survived], before: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page shows: a row for each kind, victim and step; added to what the runs ``before`` found."""
    rows: dict[str, dict[str, Any]] = {}

    def row(name: str) -> dict[str, Any]:
        return rows.setdefault(name, {"kills": 0, "outcomes": Counter()})

    for document in before:
        for name, held in document["steps"].items():
            row(name)["kills"] += held["kills"]
            row(name)["outcomes"].update(held["outcomes"])
    for item in found:
        mine = row(f"{item.point.kind.name}: {item.point.victim} in {item.point.step}")
        mine["kills"] += 1
        mine["outcomes"][item.outcome] += 1
    faults = [f"{item.point.told}: {fault}" for item in found for fault in item.faults]
    return {
        "kills": sum(each["kills"] for each in rows.values()),
        "steps": rows,
        "requests": sum(item.attempted for item in found) + sum(each["requests"] for each in before),
        "failed_requests": sum(item.failed for item in found) + sum(each["failed_requests"] for each in before),
        "orders_lost": sum(item.lost for item in found) + sum(each["orders_lost"] for each in before),
        "faults": [fault for each in before for fault in each["faults"]] + faults,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only each N-th point")
    parser.add_argument("--first", type=int, default=0, help="beginning with this one")
    parser.add_argument(
        "--only", choices=["gate", *PARTS], nargs="+", default=[], metavar="VICTIM", help="only its kills"
    )
    parser.add_argument(
        "--kind", choices=KINDS, nargs="*", default=list(KINDS), help="only runs of these kinds; none: only add up"
    )
    parser.add_argument(
        "--onto", type=Path, nargs="+", default=[], metavar="FILE", help="add to the output of runs before"
    )
    arguments = parser.parse_args()
    console = Console(stderr=True)
    before = [json.loads(file.read_text(encoding="utf-8")) for file in arguments.onto]
    summary([], before)  # what is no earlier output fails now, not in an hour
    kinds = [KINDS[name] for name in arguments.kind]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    result = summary(measure(kinds, arguments.first, arguments.every, arguments.only, console), before)
    table = Table("who dies, in which step", "kills", "outcomes", box=None)
    for name, row in result["steps"].items():
        told = ", ".join(f"{outcome} {count}" for outcome, count in row["outcomes"].items())
        table.add_row(name, str(row["kills"]), told)
    console.print(table)
    print(json.dumps(result, indent=1))
    return 1 if result["faults"] or not result["kills"] else 0


if __name__ == "__main__":
    sys.exit(main())
