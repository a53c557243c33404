"""The SSH connection to a server cut in every step of a run. Run: python -m benchmarks.ssh_cuts

Users of a tiny application on a server's Docker engine (OpenSSH's server on this machine, before the tests' engine)
post orders the whole time and never retry. Runs of each kind are walked: a deployment, one that is interrupted in the
bake, a rollback by command, what a person decides about a deployment that is held, and `recover` after a gate was
killed. Each step and each undo that begins in one is a point, and so is the middle of what takes its time. There every
`ssh` of the gate is killed; or nothing is answered any more until the gate has ended, without a word that the
connection is lost; or the server hangs up and lets nobody in, for three seconds or until the gate has ended. Then the
answer is held against what is true, `recover` runs (`rollback` of what is held), and everything is looked at: who
serves and answers, shares, locks, containers, files and shells on the server, orders and requests.
Prints a table on standard error and one JSON document on standard output; exit code 1 when anything was found, or
nothing was cut. All of it takes hours; interrupted, it tells what it found until then. ``--kind``, ``--only`` and
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

from tests.containers.conftest import PLACE
from tests.remote.cut_matrix import CUTS, KINDS, Kind, Point, Survived, matrix
from tests.remote.server import server, with_a_proxy


def measure(kinds: list[Kind], first: int, every: int, only: list[str], console: Console) -> list[Survived]:
    """Cuts at every ``every``-th point of all kinds, as a step begins before half-way through one.

    SIGINT or SIGTERM ends it early: with what was found until then.
    """
    found: list[Survived] = []
    engine = PLACE / "docker.sock"
    with suppress(KeyboardInterrupt):
        with_a_proxy(engine)
        with server(engine) as made, matrix(made) as run:
            points: list[Point] = []
            for kind in kinds:
                console.print(f"walking {kind.name}")
                points += [point for point in run.walk(kind) if not only or point.cut in only]
            points.sort(key=lambda point: point.delay > 0)  # where it is ended early, each step was cut
            points = points[first::every]
            for number, point in enumerate(points, start=1):
                survived = run.cut(point)
                found.append(survived)
                told = f"{survived.outcome} after {survived.seconds:.1f} s, {survived.settled}"
                console.print(f"{number} of {len(points)}  {point.told}: {told}", highlight=False)
                for fault in survived.faults:
                    console.print(f"   fault  {fault}", highlight=False, markup=False)
    return found


def summary(found: list[Survived], before: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page shows: a row for each kind, cut and step; added to what the runs ``before`` found."""
    rows: dict[str, dict[str, Any]] = {}

    def row(name: str) -> dict[str, Any]:
        return rows.setdefault(name, {"cuts": 0, "outcomes": Counter(), "longest_seconds": 0.0})

    for document in before:
        for name, held in document["steps"].items():
            row(name)["cuts"] += held["cuts"]
            row(name)["outcomes"].update(held["outcomes"])
            row(name)["longest_seconds"] = max(row(name)["longest_seconds"], held["longest_seconds"])
    for item in found:
        mine = row(f"{item.point.kind.name}: {item.point.cut} in {item.point.step}")
        mine["cuts"] += 1
        mine["outcomes"][item.outcome] += 1
        mine["longest_seconds"] = max(mine["longest_seconds"], round(item.seconds, 1))
    faults = [f"{item.point.told}: {fault}" for item in found for fault in item.faults]
    return {
        "cuts": sum(each["cuts"] for each in rows.values()),
        "steps": rows,
        "requests": sum(item.requests for item in found) + sum(each["requests"] for each in before),
        "failed_requests": sum(item.failed for item in found) + sum(each["failed_requests"] for each in before),
        "orders_lost": sum(item.lost for item in found) + sum(each["orders_lost"] for each in before),
        "faults": [fault for each in before for fault in each["faults"]] + faults,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only each N-th point")
    parser.add_argument("--first", type=int, default=0, help="beginning with this one")
    parser.add_argument("--only", choices=CUTS, nargs="+", default=[], metavar="CUT", help=f"only {', '.join(CUTS)}")
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
    table = Table("how it was cut, in which step", "cuts", "longest s", "outcomes", box=None)
    for name, row in result["steps"].items():
        told = ", ".join(f"{outcome} {count}" for outcome, count in row["outcomes"].items())
        table.add_row(name, str(row["cuts"]), str(row["longest_seconds"]), told)
    console.print(table)
    print(json.dumps(result, indent=1))
    return 1 if result["faults"] or not result["cuts"] else 0


if __name__ == "__main__":
    sys.exit(main())
