"""What a whole gated deployment costs, step by step. Run: python -m benchmarks.deployment [--rounds 3]

On a copy of this project with servers of its own: 1.0.0 is deployed, then in turn a good release, a rollback by hand,
and a bad release under customers that never retry. Tells the seconds of each step (medians), and of the bad release
the time from the failure that decided to the last answer any customer got from it. That release turns bad only after
its 150th checkout, so that the candidate's smoke tests pass and users have reached it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from example.customers import Customers
from tests.e2e.sites import Ran, Site, make_site

LATE = "turns-bad"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    site = make_site(folder)
    plant_late_defect(site)
    try:
        site.gate("up")
        expect(site.deploy("1.0.0"), 0)
        rounds = [one_round(site, number, arguments.rounds) for number in range(arguments.rounds)]
    finally:
        site.gate("down")
        shutil.rmtree(folder, ignore_errors=True)
    result = {
        "rounds": arguments.rounds,
        "steps": {kind: medians([each["steps"][kind] for each in rounds]) for kind in ("released", "rolled back")},
        "decision_to_last_bad_answer_ms": sorted(round(each["late_ms"], 1) for each in rounds),
        "requests": sum(each["attempted"] for each in rounds),
        "failed_by_the_proxy_or_the_switch": sum(each["failed_elsewhere"] for each in rounds),
        "acknowledged_orders_lost": sum(each["lost"] for each in rounds),
    }
    show(result)
    print(json.dumps(result, indent=2))
    return 0


def plant_late_defect(site: Site) -> None:
    """A release that is right while the candidate is smoked, and wrong soon after users have reached it."""
    changes = site.root / "example" / "store" / "changes"
    shutil.copytree(changes / "checkout-500s", changes / LATE)
    file = changes / LATE / "change.toml"
    text = file.read_text()
    assert "if next(_orders) % 5 == 0:" in text
    file.write_text(
        text.replace("if next(_orders) % 5 == 0:", "if (number := next(_orders)) > 150 and number % 3 == 0:")
    )


def one_round(site: Site, number: int, rounds: int) -> dict[str, Any]:
    """A good release, then a bad one under customers, then back to the start."""
    print(f"round {number + 1} of {rounds}", file=sys.stderr)
    good = expect(site.deploy("1.1.0"), 0)
    customers = Customers(site.url, count=6, pause=0.02)
    ahead = time.time() - time.monotonic()
    with customers.shopping() as tally:
        bad = expect(site.deploy(f"1.1.0+{LATE}"), 1)
    decided = datetime.fromisoformat(record(site, bad)["decided_at"]).timestamp()
    last_bad = tally.last_answer[f"1.1.0+{LATE}"] + ahead
    expect(site.gate("rollback", "--to", "1.0.0"), 1)
    return {
        "steps": {"released": steps(record(site, good)), "rolled back": steps(record(site, bad))},
        "late_ms": (last_bad - decided) * 1000,
        "attempted": tally.attempted,
        "failed_elsewhere": len([text for text in tally.failures if LATE not in text]),
        "lost": len(tally.lost(site.database)),
    }


def expect(ran: Ran, code: int) -> Ran:
    assert ran.code == code, f"exit code {ran.code}, expected {code}\n{ran.told}"
    return ran


def record(site: Site, ran: Ran) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((site.root / ran.document["report"]).with_name("decision.json").read_text())
    return document


def steps(document: dict[str, Any]) -> dict[str, float]:
    """Seconds by step, the undo of all steps as one, and the whole."""
    found = {step["name"]: float(step["seconds"]) for step in document["steps"]}
    undone = [step["undo"]["seconds"] for step in document["steps"] if step["undo"]]
    if undone:
        found["undo"] = sum(undone)
    began, ended = (datetime.fromisoformat(document[key]) for key in ("started_at", "ended_at"))
    found["whole"] = (ended - began).total_seconds()
    return found


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each.get(name, 0.0) for each in rounds), 2) for name in rounds[0]}


def show(result: dict[str, Any]) -> None:
    console = Console(stderr=True)
    for kind, found in result["steps"].items():
        table = Table("step", "seconds, median", title=kind)
        for name, seconds in found.items():
            table.add_row(name, f"{seconds:.2f}")
        console.print(table)
    console.print(f"decision to last answer of the bad release, ms: {result['decision_to_last_bad_answer_ms']}")
    console.print(
        f"{result['requests']} requests, {result['failed_by_the_proxy_or_the_switch']} failed that the bad release did "
        f"not answer itself, {result['acknowledged_orders_lost']} acknowledged orders lost"
    )


if __name__ == "__main__":
    sys.exit(main())
