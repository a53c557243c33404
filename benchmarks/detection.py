"""How soon a fault is found, how often a good release is taken back. Run: python -m benchmarks.detection [--deploys N]

This gate's test beside the rules of other tools and a window, over the same traffic of 100 requests a second: faults
that are there from the beginning at three shares of the traffic, a fault that starts 30 s into the bake, a 5 % fault
and no fault over the whole default watch (10% 30s, 50% 30s, 100% 2m). Then the traffic of real releases, as recorded
by benchmarks.traces or by --traces FILE: when each rule would have rolled that release back.

Prints tables on standard error and one JSON document on standard output; exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.detectors import (
    ALPHA,
    DEFAULT,
    OURS,
    REQUESTS,
    RULES,
    SECOND,
    Step,
    Trace,
    begin,
    one_by_one,
    ours,
    recorded,
    simulate,
)
from gate.judging import detection
from gate.live.observations import from_row

FAULTS = (0.05, 0.1, 0.2, 0.5)
BASE = 0.001
"""Error rate of stable, and of a candidate before its fault starts."""
HEALTHY = (0.001, 0.005, 0.01, 0.02)
CHUNK = 500
"""Deployments simulated at once: more do not fit the processor's caches."""
EARLY = f"{OURS}, steps end early"
LATE = 90 * SECOND
"""Tick of the default watch at which a late fault starts: 30 s into the bake."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a fault is: at which steps, and from which tick on."""

    name: str
    steps: Sequence[Step]
    begins: int = 0

    @property
    def ticks(self) -> int:
        return sum(step.ticks for step in self.steps)


PLACES = (
    *(Place(f"at {share:.0%}", (Step(120 * SECOND, share),)) for share in (0.1, 0.5, 1.0)),
    Place("30 s into the bake", DEFAULT, LATE),
)


def found(seed: int, place: Place, fault: float, deployments: int) -> Result:
    """When each rule finds the fault, in seconds since it began, and how many user requests had failed by then."""
    shares = [(place.begins, BASE), (place.ticks - place.begins, fault)]
    trace = simulate(np.random.default_rng(seed), deployments, place.steps, shares, BASE)
    return {name: _when(trace, place.begins, rule(trace)) for name, rule in RULES.items()}


def _when(trace: Trace, begins: int, rejected: npt.NDArray[np.int64]) -> Result:
    many = trace.bad.shape[1]
    ended = np.minimum(rejected, trace.ticks - 1)
    seconds = np.where(rejected < trace.ticks, (rejected + 1 - begins) / SECOND, np.inf)
    failed = trace.bad[begins:].cumsum(0)[np.maximum(0, ended - begins), np.arange(many)]
    in_time = rejected >= begins
    return {"seconds": seconds[in_time].tolist(), "failed": failed[in_time].tolist()}


def whole(seed: int, rate: float, stable: float, deployments: int) -> Result:
    """How many deployments each rule rolls back over the default watch, and how many this gate holds."""
    ticks = sum(step.ticks for step in DEFAULT)
    trace = simulate(np.random.default_rng(seed), deployments, DEFAULT, [(ticks, rate)], stable)
    verdicts = ours(trace)
    rolled_back = {name: int((rule(trace) < ticks).sum()) for name, rule in RULES.items() if name != OURS}
    rejected = int((verdicts.rejected < ticks).sum())
    held = deployments - rejected - int(verdicts.accepted.sum())
    return {"rolled_back": {OURS: rejected} | rolled_back, "held": held}


def early(seed: int, rate: float, stable: float, deployments: int) -> Result:
    """The same with canary steps that end as soon as the test accepts, by gate.judging.detection itself."""
    chance = np.random.default_rng(seed)
    ended = {"rolled_back": 0, "held": 0}
    for _ in range(deployments):
        stream = detection.Stream(alpha=ALPHA)
        seen = np.array([chance.binomial(60 * REQUESTS, stable), 60 * REQUESTS])
        for step in DEFAULT:
            begin(stream, step)
            for _ in range(step.ticks):
                p0 = detection.tolerated(*seen.tolist())
                mean = REQUESTS / SECOND * step.share
                bad, good = chance.poisson((mean * rate, mean * (1 - rate))).tolist()
                stream.add(bad, good, p0)
                failed, fine = chance.poisson((REQUESTS / SECOND - mean) * np.array([stable, 1 - stable]))
                seen += (failed, failed + fine)
                if stream.rejected or (stream.accepted and step.share < 1):
                    break
            if stream.rejected:
                break
        ended["rolled_back"] += stream.rejected
        ended["held"] += not stream.rejected and not stream.accepted
    return ended


def measure(deploys: int, seed: int, workers: int, progress: Callable[[int, int], None]) -> Result:
    """Everything, spread over the processors."""
    faults = [(place, fault) for place in PLACES for fault in FAULTS]
    healthy = [(rate, stable) for rate in HEALTHY for stable in (rate, rate / 2)]
    jobs: list[tuple[tuple[Any, ...], Callable[..., Result], tuple[Any, ...]]] = []
    for place, fault in faults:
        jobs += [(("found", place.name, fault), found, (place, fault, many)) for many in _chunks(min(2000, deploys))]
    for rate, stable in healthy:
        jobs += [(("healthy", rate, stable), whole, (rate, stable, many)) for many in _chunks(deploys)]
    jobs += [(("missed",), whole, (0.05, BASE, many)) for many in _chunks(deploys)]
    jobs += [(("early",), early, (0.05, BASE, many)) for many in _chunks(min(5000, deploys))]
    seeds = np.random.SeedSequence(seed).generate_state(len(jobs)).tolist()
    parts: dict[tuple[Any, ...], list[Result]] = {}
    with ProcessPoolExecutor(workers) as pool:
        running = {pool.submit(act, seed, *given): key for seed, (key, act, given) in zip(seeds, jobs, strict=True)}
        for done, future in enumerate(as_completed(running), 1):
            parts.setdefault(running[future], []).append(future.result())
            progress(done, len(jobs))
    missed, few = _added(parts["missed",]), parts["early",]
    held = sum(part["held"] for part in few)
    through = min(5000, deploys) - held - sum(part["rolled_back"] for part in few)
    gone_live = {name: deploys - many for name, many in missed["rolled_back"].items()}
    return {
        "deploys": deploys,
        "requests_per_second": REQUESTS,
        "alpha": ALPHA,
        "beta": detection.BETA,
        "rules": list(RULES),
        "found": [
            {"place": place.name, "fault": fault, "rules": _spread(parts["found", place.name, fault])}
            for place, fault in faults
        ],
        "missed_5_percent": {
            OURS: {"missed": gone_live[OURS] - missed["held"], "held": missed["held"], "of": deploys},
            EARLY: {"missed": through, "held": held, "of": min(5000, deploys)},
            **{name: {"missed": many, "of": deploys} for name, many in gone_live.items() if name != OURS},
        },
        "false_rollbacks": [
            {"rate": rate, "stable": stable, "of": deploys, **_added(parts["healthy", rate, stable])}
            for rate, stable in healthy
        ],
    }


def _chunks(deploys: int) -> Iterator[int]:
    for first in range(0, deploys, CHUNK):
        yield min(CHUNK, deploys - first)


def _added(parts: list[Result]) -> Result:
    names = parts[0]["rolled_back"]
    return {
        "rolled_back": {name: sum(part["rolled_back"][name] for part in parts) for name in names},
        "held": sum(part["held"] for part in parts),
    }


def _spread(parts: list[Result]) -> Result:
    """Median and 95th percentile; None where so many were never found."""
    spread = {}
    for name in RULES:
        seconds, failed = (np.concatenate([part[name][what] for part in parts]) for what in ("seconds", "failed"))
        known = np.isfinite(seconds)
        spread[name] = {
            "n": len(seconds),
            "found": round(float(known.mean()), 4),
            "seconds": _quantiles(seconds),
            "failed": _quantiles(np.where(known, failed, np.inf)),
        }
    return spread


def _quantiles(values: npt.NDArray[np.float64]) -> dict[str, float | None]:
    at = {"p50": 0.5, "p95": 0.95}
    found = {name: float(np.quantile(values, share, method="higher")) for name, share in at.items()}
    return {name: round(value, 1) if np.isfinite(value) else None for name, value in found.items()}


def check(deployments: int = 25) -> None:
    """The vectorised form says what gate.judging.detection says, tick for tick: healthy, bad, late-bad deployments."""
    for seed, (rate, fault, stable) in enumerate([(0.01, 0.01, 0.005), (0.002, 0.05, 0.001), (0.05, 0.3, 0.03)]):
        shares = [(LATE, rate), (sum(step.ticks for step in DEFAULT) - LATE, fault)]
        trace = simulate(np.random.default_rng(seed), deployments, DEFAULT, shares, stable)
        verdicts = ours(trace)
        both = list(zip(verdicts.rejected.tolist(), verdicts.accepted.tolist(), strict=True))
        assert both == one_by_one(trace), "benchmarks.detectors.ours is not gate.judging.detection"


def of_records(files: Sequence[Path]) -> Result:
    """When each rule would have rolled a recorded release back: seconds since its watch began and failed requests."""
    said: Result = {}
    for file in files:
        trace = recorded(from_row(row) for row in json.loads(file.read_text(encoding="utf-8")))
        ended = {name: int(rule(trace)[0]) for name, rule in RULES.items()}
        said[file.stem] = {
            "requests": int((trace.bad + trace.good).sum()),
            "bad": int(trace.bad.sum()),
            "rules": {
                name: {"seconds": (tick + 1) / SECOND, "failed": int(trace.bad[: tick + 1].sum())}
                if tick < trace.ticks
                else None
                for name, tick in ended.items()
            },
        }
    return said


def targets(result: Result) -> dict[str, bool]:
    """What was promised, and whether it is kept."""
    at = {each["place"]: each["rules"][OURS] for each in result["found"] if each["fault"] == 0.2}
    missed = result["missed_5_percent"]
    return {
        "20 % errors at full traffic: median at most 0.5 s": (at["at 100%"]["seconds"]["p50"] or 99) <= 0.5,
        "20 % errors at a 10 % canary: median at most 2.5 s": (at["at 10%"]["seconds"]["p50"] or 99) <= 2.5,
        "20 % errors from the beginning: median at most 6 failed requests": all(
            (at[place.name]["failed"]["p50"] or 99) <= 6 for place in PLACES if not place.begins
        ),
        "false rollbacks at most 0.1 %": all(
            each["rolled_back"][OURS] / each["of"] <= 0.001 for each in result["false_rollbacks"]
        ),
        "missed 5 % faults at most 2 %": all(
            missed[name]["missed"] / missed[name]["of"] <= 0.02 for name in (OURS, EARLY)
        ),
    }


def _shown(result: Result) -> Iterator[Table]:
    for place in PLACES:
        table = Table("seconds p50 / p95, failed requests p50", *(f"{fault:.0%}" for fault in FAULTS), box=None)
        table.title = f"errors {place.name}"
        for name in RULES:
            cells = [each["rules"][name] for each in result["found"] if each["place"] == place.name]
            table.add_row(name, *(_cell(each) for each in cells))
        yield table
    table = Table("error rate", "stable's", *RULES, box=None, title="rolled back of 100,000 healthy deployments")
    for each in result["false_rollbacks"]:
        counts = (f"{each['rolled_back'][name] * 100_000 / each['of']:,.0f}" for name in RULES)
        table.add_row(f"{each['rate']:.1%}", f"{each['stable']:.2%}", *counts)
    yield table
    table = Table("", "missed", "held", box=None, title="a 5 % fault over the whole watch")
    for name, each in result["missed_5_percent"].items():
        held = f"{each['held'] / each['of']:.2%}" if "held" in each else ""
        table.add_row(name, f"{each['missed'] / each['of']:.2%}", held)
    yield table
    recorded = result["recorded"]
    table = Table("seconds, failed requests", *recorded, box=None, title="recorded releases, rolled back after")
    for name in RULES:
        ends = [each["rules"][name] for each in recorded.values()]
        table.add_row(name, *(f"{end['seconds']} · {end['failed']}" if end else "never" for end in ends))
    yield table


def _cell(each: Result) -> str:
    first, last = (each["seconds"][at] for at in ("p50", "p95"))
    if first is None:
        return f"found {each['found']:.0%}"
    return f"{first} / {last if last is not None else '-'} · {each['failed']['p50']:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deploys", type=int, default=10_000, help="healthy deployments of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    recorded = sorted((Path(__file__).parent / "traces").glob("*.json"))
    parser.add_argument("--traces", type=Path, nargs="*", default=recorded, metavar="FILE")
    arguments = parser.parse_args()
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 110)
    check()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("simulating")
        result = measure(
            arguments.deploys,
            arguments.seed,
            arguments.workers,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    result["recorded"] = of_records(arguments.traces)
    result["targets"] = targets(result)
    for table in _shown(result):
        console.print(table)
    for target, kept in result["targets"].items():
        console.print(f"{'kept' if kept else 'MISSED'}: {target}")
    print(json.dumps(result, indent=1))
    return 0 if all(result["targets"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
