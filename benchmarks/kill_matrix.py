"""kill -9 of the gate at every line of its journal. Run: python -m benchmarks.kill_matrix [--every 1]

Customers of the shop post orders the whole time and never retry. Deployments of three kinds are walked: a good one, a
bad one that live traffic rolls back, and one that is interrupted late, so that every undo is walked. Each line of
their journals is a point to die at: before it, after it, half-way to the next. After each kill ``recover`` runs, and
everything is looked at: who serves and answers, locks, processes, scratch servers, databases, orders and requests.
Prints a table on standard error and one JSON document on standard output; exit code 1 when anything was found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.e2e.kill_matrix import KINDS, Survived, matrix


def measure(every: int, console: Console) -> list[Survived]:
    """Kills at every ``every``-th point of each kind."""
    found = []
    with matrix() as run:
        for kind in KINDS:
            points = run.walk(kind)[::every]
            for number, point in enumerate(points, start=1):
                survived = run.kill(point)
                found.append(survived)
                told = "; ".join(survived.faults) or survived.outcome
                console.print(f"{number} of {len(points)}  {point.told}: {told}", highlight=False)
    return found


def summary(found: list[Survived]) -> dict[str, Any]:
    """What the page shows: a row for each kind and step."""
    rows: dict[str, dict[str, Any]] = {}
    for item in found:
        row = rows.setdefault(f"{item.point.kind.name}: {item.point.step}", {"kills": 0, "outcomes": Counter()})
        row["kills"] += 1
        row["outcomes"][item.outcome] += 1
    return {
        "kills": len(found),
        "steps": rows,
        "requests": sum(item.attempted for item in found),
        "failed_requests": sum(item.failed for item in found),
        "orders_lost": sum(item.lost for item in found),
        "faults": [f"{item.point.told}: {fault}" for item in found for fault in item.faults],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only each N-th point")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    result = summary(measure(arguments.every, console))
    table = Table("kind and step", "kills", "outcomes after recover", box=None)
    for name, row in result["steps"].items():
        told = ", ".join(f"{outcome} {count}" for outcome, count in row["outcomes"].items())
        table.add_row(name, str(row["kills"]), told)
    console.print(table)
    print(json.dumps(result, indent=1))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
