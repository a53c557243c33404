"""kill -9 of the gate at every line of its journal, under customers, and what ``recover`` makes of it; and of the
database, the cache, the proxy, the stable release and the candidate in every step.

The points are not a list of ours: one deployment of each kind is walked first, and every line it wrote to its journal
is one. The gate is killed before that line, after it, and half-way to the next one.
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

import psycopg

from example.customers import Customers, Tally
from gate.config import Environment
from gate.database import migrations
from gate.environments import load
from gate.records.sqlite import SqliteFile
from gate.releases import Source
from gate.results import Outcome
from gate.shell import wait_until
from gate.store import Event, Store
from tests.e2e.sites import Ran, Site, few_cases, make_site

DRIVER = Path(__file__).with_name("killing.py")
NEVER = 10_000
"""A point no journal reaches."""
_LONG = 0.05  # seconds between two lines of a journal that are worth a kill half-way


@dataclass(frozen=True)
class Kind:
    """A deployment to be killed: what is deployed, how traffic is given, the exit code that it would have ended with,
    and where it interrupts itself."""

    name: str
    version: str
    steps: str
    ends: int
    interrupted_at: str = ""


PARTS = ("postgres", "cache", "proxy", "stable", "candidate")
"""What a deployment works with, and may lose."""
GOOD = Kind("good", "1.1.0", '["50% 8s", "100% 6s"]', 0)
BAD = Kind("bad", "1.1.0+fails-real-sales", '["100% 20s"]', 1)
STOPPED = Kind("stopped", "1.1.0", '["50% 8s", "100% 20s"]', 130, interrupted_at="bake")
KINDS = (GOOD, BAD, STOPPED)


@dataclass(frozen=True)
class Point:
    """Where a gate dies: at a line of the journal, ``moment`` before, after or seconds after it was written."""

    kind: Kind
    number: int
    step: str
    event: str
    moment: str
    victim: str = "gate"

    @property
    def told(self) -> str:
        when = self.moment if self.moment in ("before", "after") else f"{float(self.moment):.2f} s after"
        return f"{self.kind.name}: {self.victim} {when} {self.step} {self.event}"


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
    """A shop that serves 1.0.0, and every way to kill the gate that deploys on it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._text = (site.root / "environments" / "local.toml").read_text()
        self._at_rest: Counter[str] = Counter()

    def begin(self) -> None:
        """Starts the shop with 1.0.0."""
        assert self.site.gate("up").code == 0
        ran = self.site.deploy("1.0.0")
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        self._at_rest = processes(self.site.root)

    def walk(self, kind: Kind) -> list[Point]:
        """Every point of one kind of deployment, by running it once."""
        self._prepare(kind)
        with self._shopping():
            ended = self._run(Point(kind, NEVER, "", "", "after"))
        assert ended == kind.ends, f"{kind.name}: exit code {ended}: not all of its journal would be walked"
        events = self._events()
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
            ended = self._run(point)
            self.site.gate("up")
            # What is held may be rolled back by its keeper this very moment.
            wait_until(lambda: not self.site.gate("status").document.get("lock"), timeout=60, every=0.5)
            held = self.site.gate("status").document.get("held")
            settled = self.site.gate("rollback" if held else "recover")
        outcome = next((str(each) for each in Outcome if each.exit_code == ended), f"exit code {ended}")
        found = Survived(point, outcome, attempted=tally.attempted)
        if ended not in (0, 1, 3, 4, 6):
            found.faults.append(f"exit code {ended}")
        found.lost = len(tally.lost(self.site.database))
        found.faults += self._faults(settled)
        if found.lost:
            found.faults.append(f"{found.lost} acknowledged orders are lost")
        return found

    def kill(self, point: Point) -> Survived:
        """Kills a gate there, recovers, and looks at everything that is left."""
        self._prepare(point.kind)
        with self._shopping() as tally:
            ended = self._run(point)
            recovered = self.site.gate("recover")
        found = Survived(point, str(recovered.document.get("outcome")), attempted=tally.attempted)
        if ended != -9:
            found.faults.append(f"the gate was not killed: exit code {ended}")
        found.lost = len(tally.lost(self.site.database))
        bad = BAD.version if point.kind is BAD else None
        found.failed = sum(count for version, count in tally.failed_by.items() if version != bad)
        found.faults += self._faults(recovered)
        expected = point.kind.version if found.outcome == "RELEASED" and point.kind is not BAD else "1.0.0"
        if self.site.serving() != expected:
            found.faults.append(f"{found.outcome}, so {expected} has to serve, and {self.site.serving()} does")
        if found.lost:
            found.faults.append(f"{found.lost} acknowledged orders are lost")
        if found.failed:
            found.faults.append(f"{found.failed} requests failed: {tally.failures[:3]}")
        return found

    def _faults(self, recovered: Ran) -> list[str]:
        faults = []
        if recovered.code not in (0, 1):
            faults.append(f"recover ended with {recovered.code}: {recovered.reasons}\n{recovered.told}")
        status = self.site.gate("status").document
        serving, stable = self.site.serving(), status["stable"]
        if stable is None or serving != stable["version"]:
            faults.append(f"{serving} answers, {stable} is said to serve")
        if len(status["instances"]) != 1 or not status["instances"][0]["healthy"]:
            faults.append(f"instances: {status['instances']}")
        faults += [f"{key}: {status[key]}" for key in ("lock", "unfinished", "held") if status[key] is not None]
        left = processes(self.site.root) - self._at_rest
        faults += [f"a process is left: {name}" for name in left]
        faults += [f"left: {place}" for place in (self.site.state / "scratch").glob("scratch-*")]
        faults += [f"left: {place}" for place in (self.site.state / "backups").glob("*.partial")]
        faults += [f"a database is left: {name}" for name in databases(self.site) - {"store"}]
        return faults

    def _prepare(self, kind: Kind) -> None:
        """1.0.0 serves on the schema it was made for, and traffic is given as this kind wants it."""
        file = self.site.root / "environments" / "local.toml"
        file.write_text(re.sub(r"(?m)^steps = .*$", f"steps = {kind.steps}", self._text))
        if any(self.site.gate("status").document[key] is not None for key in ("held", "unfinished")):
            self.site.put_in_order()  # one that ended otherwise than it was killed for must not spoil the next one
        if self.site.gate("status").document["stable"]["version"] != "1.0.0":
            back = self.site.gate("rollback", "--to", "1.0.0")
            assert back.code == 1, f"{back.reasons}\n{back.told}"
        environment = self._environment()
        tool = migrations.create(environment, Source(environment).get("1.1.0"))
        assert tool is not None
        assert environment.database is not None
        tool.downgrade(environment.database.url, "0004")

    def _run(self, point: Point) -> int:
        kind = point.kind
        argv = [sys.executable, str(DRIVER), point.victim, kind.version, str(point.number), point.moment]
        argv += [kind.interrupted_at] if kind.interrupted_at else []
        return subprocess.run(
            argv, cwd=self.site.root, env=self.site.environment, capture_output=True, timeout=180, check=False
        ).returncode

    def _events(self) -> list[Event]:
        store = Store(SqliteFile(self.site.state / "gate.db"))
        return store.events(store.deployments(1)[0].id)

    def _environment(self) -> Environment:
        return load("local", self.site.root)

    def _shopping(self) -> AbstractContextManager[Tally]:
        return Customers(self.site.url, count=4, pause=0.02).shopping()


@contextmanager
def matrix() -> Iterator[Matrix]:
    """The matrix on a project of its own with few checks and smoke tests; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="gate-kill-"))
    site = make_site(folder)
    few_cases(site)
    made = Matrix(site)
    try:
        made.begin()
        yield made
    finally:
        site.gate("down")
        shutil.rmtree(folder, ignore_errors=True)


def processes(root: Path) -> Counter[str]:
    """What runs for a project, by command line; numbers do not matter."""
    found: Counter[str] = Counter()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            here = (place / "cwd").resolve()
        except OSError:
            continue
        line = b" ".join(words).decode(errors="replace").strip()
        if line and (str(root) in line or here.is_relative_to(root)):
            found[re.sub(r"\d+", "N", line)] += 1
    # A server's sessions come and go with the application's pool.
    return Counter({name: count for name, count in found.items() if not name.startswith("postgres: ")})


def databases(site: Site) -> set[str]:
    with psycopg.connect(site.database, connect_timeout=5) as connection:
        query = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
        return {row[0] for row in connection.execute(query)}


def _between(event: Event, later: Event) -> float:
    return (datetime.fromisoformat(later.at) - datetime.fromisoformat(event.at)).total_seconds()
