"""Records what the proxy logs of real releases under customers. Run: python -m benchmarks.traces [RELEASE …]

Each release is a canary beside 1.0.0 (10% 20s, 50% 20s) and then takes all traffic for 60 s, and nobody judges it: a
trace that a gate had cut short would say nothing of slower rules. Written to benchmarks/traces/RELEASE.json, rows of
gate.live.observations with all routes as one; benchmarks.detection replays them. Takes two minutes a release.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich.console import Console

from benchmarks.switchover import shop
from example.customers import Customers
from gate.config import Environment
from gate.engines.base import Instance
from gate.engines.process import ProcessEngine
from gate.live.observations import Observation, Requests, Role, TrafficStep, to_row
from gate.machine.shell import wait_until
from gate.releases import Source
from gate.routing.traffic import Traffic
from gate.signals.access_log import AccessLog

FOLDER = Path(__file__).parent / "traces"
RELEASES = ("1.1.0", "1.1.0+fails-real-sales", "1.1.0+late-500s")
STABLE = "1.0.0"
STEPS = ((0.1, 20.0), (0.5, 20.0), (1.0, 60.0))
BEFORE = 10.0
"""Seconds that stable serves alone first."""


def record(environment: Environment, version: str, progress: Callable[[str], None]) -> list[Observation]:
    """Everything the proxy logged of both releases, from ``BEFORE`` seconds before the first step on."""
    engine = ProcessEngine(environment)
    stable = _started(engine, environment, STABLE, "r1")
    engine.promote(stable)
    candidate = _started(engine, environment, version, "r2")
    roles = {stable.id: Role.STABLE, candidate.id: Role.CANDIDATE}
    seen: list[Observation] = []
    with Customers(environment.app.url, count=4, pause=0.03).shopping():
        log = AccessLog(Traffic(environment).access_log, roles, time.time() + BEFORE)
        _follow(log, seen, BEFORE)
        at = 0.0
        for share, seconds in STEPS:
            progress(f"{version}: {share:.0%} of the traffic for {seconds:g} s")
            seen.append(TrafficStep(at, share, seconds))
            engine.promote(candidate, share)
            _follow(log, seen, seconds)
            at += seconds
        log.close()
    engine.promote(stable)
    for instance in (candidate, stable):
        engine.stop(instance, grace=5)
    engine.prune(set())
    return list(_merged(seen))


def _started(engine: ProcessEngine, environment: Environment, version: str, name: str) -> Instance:
    instance = engine.start(Source(environment).get(version), name)
    assert wait_until(lambda: all(each.healthy for each in engine.health(instance)), timeout=60), engine.logs(instance)
    return instance


def _follow(log: AccessLog, seen: list[Observation], seconds: float) -> None:
    ended = time.monotonic() + seconds

    def over() -> bool:
        seen.extend(log.read())
        return time.monotonic() >= ended

    wait_until(over, timeout=seconds + 5)


def _merged(seen: Iterable[Observation]) -> Iterator[Observation]:
    """All routes as one, in order of time; what is neither a step nor requests is left out."""
    counts: dict[tuple[float, Role], Counter[str]] = {}
    for each in seen:
        if isinstance(each, Requests):
            tick = counts.setdefault((round(each.at, 1), each.role), Counter())
            tick.update(count=each.count, errors=each.errors, gone=each.gone)
    rows: list[Observation] = [each for each in seen if isinstance(each, TrafficStep)]
    rows += [
        Requests(at, role, "all", tick["count"], tick["errors"], tick["gone"]) for (at, role), tick in counts.items()
    ]
    yield from sorted(rows, key=lambda each: (each.at, isinstance(each, Requests)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", nargs="*", default=RELEASES, metavar="RELEASE")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    console = Console(stderr=True)
    with console.status("starting the shop") as status:
        for version in arguments.releases:
            with shop() as environment:
                rows = record(environment, version, status.update)
            text = ",\n".join(json.dumps(to_row(each), separators=(",", ":")) for each in rows)
            (FOLDER / f"{version}.json").write_text(f"[{text}]\n", encoding="utf-8")
            requests = [each for each in rows if isinstance(each, Requests)]
            console.print(
                f"{version}: {sum(r.count for r in requests)} requests, {sum(r.errors for r in requests)} failed"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
