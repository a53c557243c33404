"""Makes the table of which step and which case catches which defect of the shop, by trying every one of them.

    python -m tests.defects_table                          # prints the table
    python -m tests.defects_table --markdown docs/defects.md --json build/defects.json
    python -m tests.defects_table --only slow-checkout     # one of them

Each defect is built on the good release. Its checks run while the good release serves, then it is migrated to and
started as a candidate, and the whole smoke suite judges it to the end; nothing stops early, so that the table names
every case that sees the defect and not only the first. Needs nothing but this repository, and takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from example.store import build
from gate import releases
from gate.database import migrations
from gate.engines.base import Instance
from gate.errors import GateError
from gate.judging import readiness, verdict
from gate.machine.shell import wait_until
from gate.releases import Release
from gate.results import Case, CaseOutcome, Decision, SuiteResult
from gate.suites import suite
from gate.suites.context import CANDIDATE, CHECKS, Context
from tests.smoke.shop import BASE, Shop, shop_open

START_WITHIN = 10.0
SHOWN = 5  # cases of one defect


@dataclass
class Tried:
    """What became of one defect. ``decided`` is how many seconds of the smoke suite it took to decide, if it did."""

    defect: str
    wrong: str
    checks: list[str] = field(default_factory=list)
    refused: bool = False
    start: str = ""
    smoke: list[str] = field(default_factory=list)
    verdict: str = ""
    decided: float | None = None

    def without(self, noise: Tried) -> Tried:
        """The same without the cases that see something in the good release, too: a busy machine, say."""
        heard = {text.partition(" ")[0] for text in [*noise.checks, *noise.smoke]}

        def new(seen: list[str]) -> list[str]:
            return [text for text in seen if text.partition(" ")[0] not in heard]

        return replace(self, checks=new(self.checks), smoke=new(self.smoke))

    @property
    def caught_by(self) -> str:
        """The first step of a deployment that would stop it."""
        if self.refused:
            return "checks"
        if self.start:
            return "start"
        return f"smoke: {self.verdict}" if self.verdict not in ("", Decision.GO) else "nothing before live traffic"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", metavar="DEFECT", help="these defects only")
    parser.add_argument("--no-checks", action="store_true", help="leave the checks away, which take most of the time")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--json", type=Path, help="write what was found here")
    options = parser.parse_args(arguments)
    known = {
        name: change for name, change in build.read_changes().items() if change.kind == "defect" and BASE in change.on
    }
    wanted = options.only or sorted(known)
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"no defect {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    tried: list[Tried] = []
    noise: Tried | None = None
    # A migration stays in its database, so each defect that brings one gets servers of its own.
    alone = [[name] for name in wanted if known[name].add]
    together = [name for name in wanted if not known[name].add]
    for names in filter(None, [together, *alone]):
        with shop_open() as shop, shop.serving(BASE) as good:
            shop.place.engine.promote(good)
            noise = noise or attempt(shop, good, "", "", checks=not options.no_checks)
            for name in names:
                found = attempt(shop, good, name, known[name].description, checks=not options.no_checks)
                tried.append(found.without(noise))
                print(f"{name:28} {tried[-1].caught_by}", file=sys.stderr, flush=True)
    table = markdown(sorted(tried, key=lambda each: each.defect))
    print(table)
    if options.markdown:
        options.markdown.write_text(table, encoding="utf-8")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(each) for each in tried], indent=2) + "\n", encoding="utf-8")
    return 0


def attempt(shop: Shop, good: Instance, defect: str, wrong: str, *, checks: bool) -> Tried:
    """One defect (no name: the good release) from its checks to the end of its smoke tests, whatever they say."""
    tried = Tried(defect, wrong)
    release = shop.release(f"{BASE}+{defect}" if defect else BASE)
    if checks:
        _check(shop, good, release, tried)
    try:
        _migrate(shop, release)
        instance = shop.place.engine.start(release, shop.next_id())
    except GateError as fault:
        tried.start = f"{type(fault).__name__}: {str(fault).splitlines()[0]}"
        return tried
    try:
        tried.start = _start(shop, instance)
        if not tried.start:
            _smoke(shop, instance, release, tried)
    finally:
        shop.place.engine.stop(instance, grace=0)
    return tried


def _check(shop: Shop, good: Instance, release: Release, tried: Tried) -> None:
    environment = shop.place.environment
    stable = releases.read(Path(good.folder))
    context = Context(environment.name, CHECKS, 1, release, stable, stable_instance=good.id, allow_downgrade=True)
    result = suite.run(
        environment, context, environment.checks.folders, shop.place.root / "out" / f"checks-{tried.defect}"
    )
    scored = readiness.assess(result, environment.readiness.weights)
    tried.checks = _seen(result)
    tried.refused = verdict.before(result, scored, environment.readiness.minimum).decision is not Decision.GO


def _migrate(shop: Shop, release: Release) -> None:
    tool = migrations.create(shop.place.environment, release)
    database = shop.place.environment.database
    if tool is not None and database is not None:
        tool.upgrade(database.url)


def _start(shop: Shop, instance: Instance) -> str:
    """Why it did not become healthy; empty when it did."""
    engine = shop.place.engine

    def over() -> bool:
        states = engine.health(instance)
        return all(state.healthy for state in states) or any(not state.alive for state in states)

    wait_until(over, timeout=START_WITHIN)
    faults = [state for state in engine.health(instance) if not state.healthy]
    return "; ".join(f"{state.service}: {state.detail}" for state in faults)


def _smoke(shop: Shop, instance: Instance, release: Release, tried: Tried) -> None:
    environment = shop.place.environment
    context = Context(environment.name, CANDIDATE, 1, release, instance=instance.id)
    began = time.monotonic()
    seen: dict[str, Case] = {}

    def on_case(case: Case) -> None:
        seen[case.id] = case
        so_far = SuiteResult(CANDIDATE, (), tuple(seen.values()), 0.0)
        if tried.decided is None and verdict.decided(so_far, environment.all_rules) is not None:
            tried.decided = round(time.monotonic() - began, 1)

    out = shop.place.root / "out" / f"smoke-{tried.defect}"
    result = suite.run(environment, context, environment.smoke.folders, out, on_case=on_case)
    tried.smoke = _seen(result)
    tried.verdict = str(verdict.after(result, environment.all_rules).decision)


def _seen(result: SuiteResult) -> list[str]:
    """Cases that found something, the worst word first."""
    found = result.of(CaseOutcome.FAILED, CaseOutcome.ERROR)
    return [f"{case.id} ({case.severity}): {case.message}" for case in found]


def markdown(tried: Sequence[Tried]) -> str:
    lines = [
        "# Which defect is caught where",
        "",
        f"Made by `python -m tests.defects_table`: every defect of the example, put on {BASE}, tried on real servers.",
        "Every case that sees it is listed; a deployment ends at the first that decides. ROLLBACK is decided at once,",
        "by a critical case; HOLD at the end of the suite, and undone as well: what is not proven does not go live.",
        "Left out is what the good release trips, too, on the machine that made this table.",
        "",
        "| defect | what is wrong | caught by | cases that see it | decided after |",
        "|---|---|---|---|---|",
    ]
    for each in tried:
        cases = [f"`{text.partition(' ')[0]}`" for text in [*each.checks, *each.smoke]]
        more = [f"and {len(cases) - SHOWN} more"] if len(cases) > SHOWN else []
        saw = "<br>".join(([each.start] if each.start else []) + cases[:SHOWN] + more) or "none"
        after = f"{each.decided:g} s of smoke tests" if each.decided is not None and not each.refused else ""
        lines.append(f"| `{each.defect}` | {each.wrong} | {each.caught_by} | {saw} | {after} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
