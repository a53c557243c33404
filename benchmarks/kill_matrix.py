"""kill -9 of the gate at every line of its journal, and of its parts. Run: python -m benchmarks.kill_matrix

Customers of the shop post orders the whole time and never retry. Deployments of three kinds are walked: a good one, a
bad one that live traffic rolls back, and one that is interrupted late, so that every undo is walked. Each line of
their journals is a point to die at: before it, after it, half-way to the next. After each kill ``recover`` runs, and
everything is looked at: who serves and answers, locks, processes, scratch servers, databases, orders and requests.
Then the database, the cache, the proxy, the stable release and the candidate are killed as each step of the good
deployment begins; the gate ends by itself, ``up`` starts what is gone, and the same is looked at (requests fail then).
Prints a table on standard error and one JSON document on standard output; exit code 1 when anything was found. All of
it takes an hour and a half; ``--every 3 --first 0``, then ``1`` and ``2``, each with ``--onto`` the one before, is the
same in three runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.e2e.kill_matrix import GOOD, KINDS, PARTS, Survived, matrix


def measure(first: int, every: int, only: list[str], console: Console) -> list[Survived]:
    """Kills at every ``every``-th point of each kind, then every ``every``-th part in the steps of the good one."""
    found = []
    with matrix() as run:
        walked = {kind: run.walk(kind) for kind in KINDS}
        points = [point for kind in KINDS for point in walked[kind][first::every]]
        points += run.parts(walked[GOOD])[first::every]
        points = [point for point in points if not only or point.victim in only]
        for number, point in enumerate(points, start=1):
            survived = run.kill(point) if point.victim == "gate" else run.lose(point)
            found.append(survived)
            told = "; ".join(survived.faults) or survived.outcome
            console.print(f"{number} of {len(points)}  {point.told}: {told}", highlight=False)
    return found


def summary(found: list[Survived], before: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the page shows: a row for each kind, victim and step; added to what a run ``before`` found."""
    before = before or {"kills": 0, "requests": 0, "failed_requests": 0, "orders_lost": 0, "faults": [], "steps": {}}
    rows: dict[str, dict[str, Any]] = {
        name: {"kills": row["kills"], "outcomes": Counter(row["outcomes"])} for name, row in before["steps"].items()
    }
    for item in found:
        name = f"{item.point.kind.name}: {item.point.victim} in {item.point.step}"
        row = rows.setdefault(name, {"kills": 0, "outcomes": Counter()})
        row["kills"] += 1
        row["outcomes"][item.outcome] += 1
    return {
        "kills": before["kills"] + len(found),
        "steps": rows,
        "requests": before["requests"] + sum(item.attempted for item in found),
        "failed_requests": before["failed_requests"] + sum(item.failed for item in found),
        "orders_lost": before["orders_lost"] + sum(item.lost for item in found),
        "faults": before["faults"] + [f"{item.point.told}: {fault}" for item in found for fault in item.faults],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only each N-th point")
    parser.add_argument("--first", type=int, default=0, help="beginning with this one")
    parser.add_argument(
        "--only", choices=["gate", *PARTS], nargs="+", default=[], metavar="VICTIM", help="only its kills"
    )
    parser.add_argument("--onto", type=Path, help="add to what this file holds, the output of a run before")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    before = json.loads(arguments.onto.read_text(encoding="utf-8")) if arguments.onto else None
    summary([], before)  # what is no earlier output fails now, not in an hour
    result = summary(measure(arguments.first, arguments.every, arguments.only, console), before)
    table = Table("who dies, in which step", "kills", "outcomes", box=None)
    for name, row in result["steps"].items():
        told = ", ".join(f"{outcome} {count}" for outcome, count in row["outcomes"].items())
        table.add_row(name, str(row["kills"]), told)
    console.print(table)
    print(json.dumps(result, indent=1))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
