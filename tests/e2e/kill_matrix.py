"""kill -9 of the gate at every line of its journal, under customers, and what ``recover`` makes of it; and of the
database, the cache, the proxy, the stable release and the candidate in every step.

The points are not a list of ours: one run of each kind is walked first, and every line it wrote to its journal is one.
The gate is killed before that line, after it, and half-way to the next one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from example.customers import Customers, Tally
from gate.config import Environment
from gate.database import backup, migrations, restoring, swap
from gate.environments import load
from gate.machine.shell import wait_until
from gate.records.sqlite import SqliteFile
from gate.records.store import Event, Store
from gate.releases import Source
from gate.results import Outcome
from gate.rollback import served
from tests.e2e.kill_kinds import PARTS, Kind, Point
from tests.e2e.left_behind import databases, processes, sockets
from tests.e2e.sites import FEW_CHECKS, FEW_SMOKE, Ran, Site, few_cases, make_site

DRIVER = Path(__file__).with_name("killing.py")
NEVER = 10_000
"""A point no journal reaches."""
_LONG = 0.05  # seconds between two lines of a journal that are worth a kill half-way
_INTERVAL = 0.5  # seconds: the proxy gives up before the last try that would come too late
_RUNS = 12  # a shop is made anew after so many: its orders are backed up, copied and compared in each
_SYNTHETIC = 'synthetic = "smoke/store/synthetic.py"\n'
# What must have been rehearsed before users may be kept waiting, and what is asked afterwards.
_PAUSE_CHECKS = FEW_CHECKS.replace("]", ', "checks/test_migrations.py"]')
_PAUSE_SMOKE = FEW_SMOKE.replace("]", ', "smoke/store/test_checkout.py"]')
_HEADS = {"1.0.0": "0004", "1.1.0": "0005", "1.2.0": "0006"}
"""The schema that each release was made for."""


@dataclass
class Survived:
    """What was found after the kill and ``recover``."""

    point: Point
    outcome: str
    faults: list[str] = field(default_factory=list)
    lost: int = 0
    failed: int = 0
    attempted: int = 0


class Matrix:
    """A shop, and every way to kill the gate that works on it."""

    site: Site

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shops = 0
        self._runs = 0
        self._text = ""
        self._processes: Counter[str] = Counter()
        self._sockets: Counter[str] = Counter()

    def begin(self) -> None:
        """Starts a shop with 1.0.0, in the place of the one there is."""
        self.end()
        self._shops, self._runs = self._shops + 1, 0
        self.site = make_site(self._folder / str(self._shops))
        few_cases(self.site)
        self._text = self._file.read_text()
        assert self.site.gate("up").code == 0
        self._deploy("1.0.0")
        self._processes, self._sockets = processes(self.site.root), sockets(self.site.root)

    def end(self) -> None:
        """Stops the shop, if there is one, and removes it."""
        if self._shops:
            self.site.gate("down")
            shutil.rmtree(self.site.root, ignore_errors=True)

    def walk(self, kind: Kind) -> list[Point]:
        """Every point of one kind of run, by running it once."""
        known = self._prepare(kind)
        with self._shopping():
            ended, told = self._run(Point(kind, NEVER, "", "", "after"))
        assert ended == kind.ends, f"{kind.name}: exit code {ended}: not all of its journal would be walked\n{told}"
        events = self._events()[known:]
        points = []
        for number, event in enumerate(events):
            if event.kind not in ("do", "undo"):
                points.append(Point(kind, number, event.step, event.kind, "before"))
            points.append(Point(kind, number, event.step, event.kind, "after"))
            pause = _between(event, events[number + 1]) if number + 1 < len(events) else 0.0
            if pause > _LONG:
                points.append(Point(kind, number, event.step, event.kind, f"{pause / 2:.3f}"))
        return points

    def parts(self, points: list[Point]) -> list[Point]:
        """The loss of each part in each step that these points walk: right when the step begins."""
        begun = [point for point in points if (point.event, point.moment) == ("do", "after")]
        return [replace(point, victim=victim) for victim in PARTS for point in begun]

    def lose(self, point: Point) -> Survived:
        """Kills a part there; then everything is started again and what the gate left is settled, as a person would."""
        self._prepare(point.kind)
        with self._shopping() as tally:
            ended, _ = self._run(point)
            self.site.gate("up")
            settled = self._settle()
        outcome = next((str(each) for each in Outcome if each.exit_code == ended), f"exit code {ended}")
        found = Survived(point, outcome, attempted=tally.attempted)
        if ended not in (0, 1, 3, 4, 6):
            found.faults.append(f"exit code {ended}")
        self._look(found, settled, tally)
        self._demand_served(found)
        return found

    def kill(self, point: Point) -> Survived:
        """Kills a gate there, recovers, and looks at everything that is left."""
        kind = point.kind
        self._prepare(kind)
        with self._shopping() as tally:
            ended, told = self._run(point)
            settled = self._settle()
        found = Survived(point, str(settled.document.get("outcome")), attempted=tally.attempted)
        if ended != -9:
            found.faults.append(f"the gate was not killed: exit code {ended}\n{told}")
        self._look(found, settled, tally)
        found.faults += self._schema_faults(kind, self._demand_served(found))
        by_the_bad = tally.failed_by.get(kind.target, 0) if kind.bad else 0
        found.failed = sum(tally.failed_by.values()) - by_the_bad
        unexplained = found.failed
        if kind.pauses:  # a dead gate leaves users waiting, and the proxy holds each request for so long only
            held = self._environment().traffic.try_duration - _INTERVAL
            unexplained -= sum(seconds >= held for seconds in tally.unanswered)
        # Where the names of the databases change, every session ends: what was under way fails, and is tried again.
        if unexplained and not kind.restores:
            found.faults.append(f"{unexplained} of {found.failed} failed requests should not: {tally.failures[:3]}")
        return found

    def _demand_served(self, found: Survived) -> str:
        """The version that has to serve, by how the run ended on record; it is a fault if another one answers."""
        kind = found.point.kind
        serves = kind.target if self._took_over() else kind.base
        if self.site.serving() != serves:
            found.faults.append(f"{found.outcome}, so {serves} has to serve, and {self.site.serving()} does")
        return serves

    def _settle(self) -> Ran:
        """What a person types after a death: what is held is rolled back, anything else is recovered."""
        # The keeper of what is held may be rolling it back this very moment.
        wait_until(lambda: not self.site.gate("status").document.get("lock"), timeout=60, every=0.5)
        held = self.site.gate("status").document.get("held")
        return self.site.gate("rollback" if held else "recover")

    def _look(self, found: Survived, settled: Ran, tally: Tally) -> None:
        """Adds what is wrong after everything was settled."""
        there = databases(self.site)
        kept = {name for name in there if found.point.kind.restores and re.search(r"_(before|restored)_r\d+$", name)}
        missing = set(tally.acknowledged)
        for name in {"store", *kept}:
            missing &= set(tally.lost(there[name]))
        found.lost = len(missing)
        if not tally.acknowledged:
            found.faults.append("customers bought nothing, so nothing could be lost")
        if found.lost:
            found.faults.append(f"{found.lost} acknowledged orders are lost")
        found.faults += self._faults(settled)
        found.faults += [f"a database is left: {name}" for name in there.keys() - {"store"} - kept]
        server = restoring.server_of(self._environment())
        for name in kept:
            swap.drop(server, name)

    def _faults(self, settled: Ran) -> list[str]:
        faults = []
        if settled.code not in (0, 1):
            faults.append(f"it was settled with {settled.code}: {settled.reasons}\n{settled.told}")
        status = self.site.gate("status").document
        serving, stable = self.site.serving(), status["stable"]
        if stable is None or serving != stable["version"]:
            faults.append(f"{serving} answers, {stable} is said to serve")
        if len(status["instances"]) != 1 or not status["instances"][0]["healthy"]:
            faults.append(f"instances: {status['instances']}")
        faults += [f"{key}: {status[key]}" for key in ("lock", "unfinished", "held") if status[key] is not None]
        root = self.site.root
        faults += [f"a process is left: {name}" for name in processes(root) - self._processes]
        faults += [f"a socket is left: {name}" for name in sockets(root) - self._sockets]
        faults += [f"left: {place}" for place in (self.site.state / "scratch").glob("scratch-*")]
        faults += [f"left: {place}" for place in (self.site.state / "backups").glob("*.partial")]
        return faults

    def _schema_faults(self, kind: Kind, serves: str) -> list[str]:
        """Whether the schema is the one that belongs to what serves; an additive one stays once users wrote to it."""
        expected = {_HEADS[serves.partition("+")[0]]}
        began = {event.step for event in self._events() if event.kind == "do"}
        if kind.command[0] == "rollback" or (began & {"canary", "promote"} and not kind.pauses and not kind.restores):
            expected = {_HEADS["1.1.0"]}
        head = self.site.traces()["schema"]
        return [] if head in expected else [f"the schema is at {head}, expected {expected} for {serves}"]

    def _took_over(self) -> bool:
        store = self._store()
        return served.took_over(store, store.deployments(1)[0])

    def _prepare(self, kind: Kind) -> int:
        """The release that this kind begins with serves, on the schema it was made for, and traffic is given as it
        wants it. Returns how many lines its journal has already: a deployment that is held has some."""
        self._runs += 1
        if not self._shops or self._runs > _RUNS or self.site.serving() == "1.2.0":  # no way leads back from 1.2.0
            self.begin()
        self._settings()
        if any(self.site.gate("status").document[key] is not None for key in ("held", "unfinished")):
            self.site.put_in_order()  # one that ended otherwise than it was killed for must not spoil the next one
        if self.site.gate("status").document["stable"]["version"] != kind.base:
            if kind.base == "1.0.0":
                back = self.site.gate("rollback", "--to", "1.0.0")
                assert back.code == 1, f"{back.reasons}\n{back.told}"
            else:
                self._deploy(kind.base)
        environment = self._environment()
        tool = migrations.create(environment, Source(environment).get("1.1.0"))
        assert tool is not None
        assert environment.database is not None
        if kind.base == "1.0.0":
            tool.downgrade(environment.database.url, "0004")
        if kind.restores:
            made = backup.create(environment, self.site.state / "backups", label="by-hand", head=_HEADS[kind.base])
            backup.verify(made, environment)
        if kind.held:
            self._settings(steps='["50% 2s", "100% 2s"]', synthetic=False)
            held = self.site.deploy("1.1.0")
            assert held.code == 6, f"{held.reasons}\n{held.told}"
        self._settings(steps=kind.steps, pauses=kind.pauses)
        return len(self._events()) if kind.held else 0

    @property
    def _file(self) -> Path:
        return self.site.root / "environments" / "local.toml"

    def _settings(self, *, steps: str = "[]", synthetic: bool = True, pauses: bool = False) -> None:
        text = re.sub(r"(?m)^steps = .*$", f"steps = {steps}", self._text)
        text = text if synthetic else text.replace(_SYNTHETIC, "")
        if pauses:
            text = text.replace(FEW_CHECKS, _PAUSE_CHECKS).replace(FEW_SMOKE, _PAUSE_SMOKE)
            text += "\n[readiness]\nminimum = 80\n"  # with so few checks reservations weigh more
        self._file.write_text(text)

    def _deploy(self, version: str) -> None:
        ran = self.site.deploy(version)
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"

    def _run(self, point: Point) -> tuple[int, str]:
        """Runs what dies there; its exit code, and what it told."""
        kind = point.kind
        argv = [sys.executable, str(DRIVER), point.victim, str(point.number), point.moment, kind.interrupted_at]
        ran = subprocess.run(
            [*argv, *kind.command],
            cwd=self.site.root, env=self.site.environment, capture_output=True, timeout=240, check=False,
        )  # fmt: skip
        return ran.returncode, ran.stderr.decode(errors="replace")

    def _store(self) -> Store:
        return Store(SqliteFile(self.site.state / "gate.db"))

    def _events(self) -> list[Event]:
        store = self._store()
        return store.events(store.deployments(1)[0].id)

    def _environment(self) -> Environment:
        return load("local", self.site.root)

    def _shopping(self) -> AbstractContextManager[Tally]:
        return Customers(self.site.url, count=4, pause=0.05).shopping()


@contextmanager
def matrix() -> Iterator[Matrix]:
    """The matrix on projects of its own with few checks and smoke tests; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="gate-kill-"))
    made = Matrix(folder)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)


def _between(event: Event, later: Event) -> float:
    return (datetime.fromisoformat(later.at) - datetime.fromisoformat(event.at)).total_seconds()
