"""The SSH connection cut in every step of a run, under users who order, and what the gate says and makes of it.

The points are not a list of ours: one run of each kind is walked first. Each step that begins in it, and each undo, is
a point, and so is the middle of what takes its time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.containers.client import at, listed
from gate.errors import GateError
from gate.machine.shell import wait_until
from gate.records.sqlite import SqliteFile
from gate.records.store import Deployment, Store
from gate.remote.door import Door
from gate.results import Outcome
from gate.rollback import served
from tests.e2e.sites import Ran
from tests.remote.project import Remote, project
from tests.remote.server import Server, docker_of
from tests.team.users import Bill, ordering

DRIVER = Path(__file__).with_name("cutting.py")
_NEVER = ""
"""A point no run reaches."""
_PAUSE = 0.05  # seconds between two orders of a user: a canary is over once enough was seen of it
_LONG = 0.4  # seconds of a step that are worth a cut half-way
_AWAY = 3.0  # seconds that nobody is let in
_LIMIT = 240.0
"""Seconds after a cut until a gate that has not ended hangs: each act of an undo waits for a connection once."""
_RUNS = 25  # a project is made anew after so many


@dataclass(frozen=True)
class Kind:
    """A run that is cut: its command, and the exit code that it ends with.

    ``interrupted_at``: the step at whose beginning it interrupts itself. ``held``: its deployment is held beforehand.
    ``dead``: its deployment is left unfinished beforehand.
    """

    name: str
    command: str
    ends: int
    interrupted_at: str = ""
    held: bool = False
    dead: bool = False


GOOD = Kind("deployed", "deploy", 0)
STOPPED = Kind("interrupted", "deploy", 130, interrupted_at="bake")
BACK = Kind("rolled back", "rollback", 1)
KEPT = Kind("kept", "keep", 0, held=True)
GIVEN_UP = Kind("given up", "give-up", 1, held=True)
RECOVERED = Kind("recovered", "recover", 1, dead=True)
KINDS = {kind.name: kind for kind in (GOOD, STOPPED, BACK, KEPT, GIVEN_UP, RECOVERED)}
"""Every kind, by its name."""

CUTS = ("killed", "silent", "away", "gone")
"""``killed``: every ``ssh`` of the gate's is killed, and may connect again. ``silent``: nothing is answered until the
gate has ended, and nobody hears that it is not. ``away``: the server hangs up and lets nobody in for three seconds.
``gone``: it does so until the gate has ended."""


@dataclass(frozen=True)
class Point:
    """Where the connection is cut: ``delay`` seconds after a step, or an undo, of a run has begun."""

    kind: Kind
    cut: str
    step: str
    delay: float = 0.0

    @property
    def told(self) -> str:
        """``deployed: silent 0.52 s after canary``."""
        when = f"{self.delay:.2f} s after" if self.delay else "at"
        return f"{self.kind.name}: {self.cut} {when} {self.step}"


@dataclass
class Survived:
    """What was found after a cut, and after a person had done what the gate said."""

    point: Point
    outcome: str = ""
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    requests: int = 0
    failed: int = 0
    lost: int = 0
    settled: str = ""


@dataclass
class _Run:
    """A run of the gate: its answer, exit code, and what it told; its points and when each began."""

    code: int
    answer: dict[str, Any]
    told: str
    points: list[tuple[str, float]]
    ended: float
    after_cut: float


class Matrix:
    """A project on a server, and every way to cut the gate that works on it off."""

    site: Remote

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runs = 0
        self._projects: Any = None
        self._image = f"gate-test-cut-{os.getpid()}"
        self._made: set[str] = set()
        self._base = self._target = "1.0.0"
        """What serves before a run, and once it was kept."""
        self._before, self._continues = 0, False
        """The last deployment before a run, and whether the run goes on with that one."""
        self._known: dict[str, Any] | None = None
        """What ``status`` said when nothing was wrong with it, and nothing has happened since."""

    def begin(self) -> None:
        """Makes a project in which 1.0.0 serves, in the place of the one there is."""
        self.end()
        self._runs = 0
        self._made, self._known = {"1.0.0"}, None
        self._projects = project(self._server, {"1.0.0": ""}, self._image, orders=True)
        self.site = self._projects.__enter__()
        (self.site.root / "t").mkdir()
        self.site.environment["TMPDIR"] = str(self.site.root / "t")

    def end(self) -> None:
        """Removes the project, if there is one."""
        projects, self._projects = self._projects, None
        if projects is not None:
            projects.__exit__(None, None, None)

    def remove_images(self) -> None:
        """Nothing of the releases is left on the engine."""
        for image in self._engine.images.list(self._image):
            self._engine.images.remove(image.id, force=True)

    def walk(self, kind: Kind) -> list[Point]:
        """Every point of one kind of run, for each way to be cut, by running it once."""
        self._prepare(kind)
        with ordering(self.site, every=_PAUSE):
            run = self._run(kind, _NEVER, 0.0, lambda: None)
        assert run.code == kind.ends, f"{kind.name}: exit code {run.code}: not all would be walked\n{run.told}"
        points = []
        ends = [*(began for _, began in run.points[1:]), run.ended]
        for (step, began), end in zip(run.points, ends, strict=True):
            points += [Point(kind, cut, step) for cut in CUTS]
            if end - began > _LONG:
                points += [Point(kind, cut, step, (end - began) / 2) for cut in CUTS]
        return points

    def cut(self, point: Point) -> Survived:
        """Cuts a run there, brings the connection back, and does what is to be done; looks at everything."""
        found = Survived(point)
        try:
            self._cut_and_look(point, found)
        except (AssertionError, GateError, subprocess.TimeoutExpired) as broke:  # what was found before is told
            found.faults.append(f"not looked at to the end: {broke}")
            self.end()
        return found

    def _cut_and_look(self, point: Point, found: Survived) -> None:
        self._prepare(point.kind)
        with ordering(self.site, every=_PAUSE) as bill:
            try:
                run = self._run(point.kind, point.step, point.delay, lambda: self._cut(point.cut))
            finally:
                self._back(point.cut)
            found.outcome = next((str(each) for each in Outcome if each.exit_code == run.code), f"exit {run.code}")
            found.seconds = run.after_cut
            if not run.after_cut:
                found.faults.append(f"nothing was cut: it ended before\n{run.told}")
            found.faults += self._lies(point.kind, run)
            settled = self._settle(found)
        found.faults += self._left(settled)
        self._count(found, bill)
        if found.faults:
            found.faults.append(f"it had told: {run.told[-3000:]}\n--- then: {settled.told[-2000:]}")

    def _cut(self, way: str) -> None:
        if way == "killed":
            self._server.hang_up()
        elif way == "silent":
            self._server.silence()
        else:
            self._server.cut()
            if way == "away":
                threading.Timer(_AWAY, self._server.up).start()

    def _back(self, way: str) -> None:
        if way == "silent":
            self._server.speak()
        elif way == "gone":
            self._server.up()
        assert wait_until(self._server.answers, timeout=20)

    def _lies(self, kind: Kind, run: _Run) -> list[str]:
        """What the gate's answer says that is not so, or does not say that is; ``status`` may say the rest."""
        faults = []
        status = self.site.gate("status").document
        serving, stable = self.site.serving(), status["stable"]
        unsettled = run.code in (4, 6) or (run.code == 3 and kind.held)
        shared = unsettled and self.site.canary() is not None  # either may answer
        if stable is None or (serving != stable["version"] and not shared):
            faults.append(f"{serving} answers, {stable} is said to serve")
        answered = run.answer.get("stable")
        if answered is not None and answered["version"] != serving and not shared:
            faults.append(f"the answer says that {answered['version']} serves, and {serving} does")
        if run.code not in (0, 1, 3, 4, 6, 130):
            faults.append(f"exit code {run.code}")
        if (
            run.code == 4
            and status["unfinished"] is None
            and not (kind.command == "rollback" and run.answer.get("next"))
        ):
            faults.append("it failed, and neither it nor status says what is to be done")
        if run.code == 6 and status["held"] is None:
            faults.append("it is held, and status does not know it")
        if run.code == 6 and not kind.held:
            faults += [f"status: {fault}" for fault in status["faults"]]
        if run.code in (0, 1, 3, 130):
            expected = self._target if run.code == 0 or (kind.command == "rollback" and run.code == 1) else self._base
            if run.code == 3 and (kind.held or kind.dead):
                return faults  # it is held, or dead, as before
            if serving != expected:
                faults.append(f"exit code {run.code}, and {serving} serves")
            if status["unfinished"] is not None or status["held"] is not None:
                faults.append(f"exit code {run.code}, unfinished {status['unfinished']}, held {status['held']}")
            runs = sorted(one["version"] for one in status["instances"])
            told = run.told + json.dumps(run.answer)
            if runs != [expected] and not ("recover stops it" in told and runs == sorted([self._base, self._target])):
                faults.append(f"exit code {run.code}, and these run: {status['instances']}")
            canary = self.site.canary()
            if canary is not None:
                faults.append(f"exit code {run.code}, and there is a share: {canary}")
        return faults

    def _settle(self, found: Survived) -> Ran:
        """What a person types after it: what is held is rolled back, anything else is recovered."""
        wait_until(lambda: not self.site.gate("status").document.get("lock"), timeout=60, every=0.5)
        held = self.site.gate("status").document.get("held")
        settled = self.site.gate("rollback" if held else "recover")
        found.settled = f"{'rollback' if held else 'recover'}: {settled.document.get('outcome')}"
        return settled

    def _left(self, settled: Ran) -> list[str]:
        """What is wrong, or left over, after everything was settled."""
        faults = []
        if settled.code not in (0, 1):
            faults.append(f"it was settled with {settled.code}: {settled.reasons}")
        status = self.site.gate("status").document
        faults += [f"{key}: {status[key]}" for key in ("lock", "unfinished", "held", "faults") if status[key]]
        serving, stable = self.site.serving(), status["stable"]
        if stable is None or serving != stable["version"]:
            faults.append(f"{serving} answers, {stable} is said to serve")
        serves = self._target if self._took_over() else self._base
        if serving != serves:
            faults.append(f"on record {serves} has to serve, and {serving} does")
        if len(status["instances"]) != 1 or not status["instances"][0]["healthy"]:
            faults.append(f"instances: {status['instances']}")
        canary = self.site.canary()
        if canary is not None:
            faults.append(f"a share is left: {canary}")
        faults += self._containers()
        if not faults:
            self._known = status
        self._server.hang_up()  # what this process asked by
        if not wait_until(lambda: not self._there(), timeout=10):
            faults.append(f"left at the server's door: {self._there()}")
        if not wait_until(lambda: not self._server.clients(), timeout=5):
            faults.append(f"ssh is left: {self._server.clients()}")
        faults += [f"left: {place}" for place in (self.site.root / "t").iterdir()]
        self._clear()
        return faults

    def _clear(self) -> None:
        """What stands in the folder for temporary files goes."""
        for place in (self.site.root / "t").iterdir():
            shutil.rmtree(place, ignore_errors=True)

    def _containers(self) -> list[str]:
        """Containers that run beside the front door and the one of what serves."""
        door = Door(self.site.loaded, docker_of(self.site.there))
        made = listed(self._engine, label=f"deploy-gate.state={door.owner}")
        names = sorted(container.name for container in made)
        return [] if len(names) == 2 and door.name in names else [f"containers: {names}"]

    def _there(self) -> list[str]:
        """Files on their way to their place, and shells that nobody uses, in the front door's container."""
        door = Door(self.site.loaded, docker_of(self.site.there))
        container = self._engine.containers.get(door.name)
        found = [row[-1] for row in container.top()["Processes"] if "caddy" not in row[-1]]
        _, said = container.exec_run(["ls", "-R", "/gate"], user="0:0")
        return found + [line for line in said.decode().splitlines() if line.endswith(".new")]

    def _count(self, found: Survived, bill: Bill) -> None:
        taken = set((self.site.root / "orders" / "taken").read_text().split())
        found.requests = len(bill.answers)
        found.lost = len(set(bill.acknowledged) - taken)
        found.failed = sum(status != 200 for status in bill.answers)
        if found.lost:
            found.faults.append(f"{found.lost} acknowledged orders are lost")
        if found.failed:
            found.faults.append(f"{found.failed} of {found.requests} requests failed")
        if not bill.acknowledged:
            found.faults.append("nobody ordered, so nothing could be lost")

    def _took_over(self) -> bool:
        last = self._last()
        begun = last.id > self._before or self._continues
        return begun and served.took_over(self._store, last)

    def _last(self) -> Deployment:
        return self._store.deployments(1)[0]

    @property
    def _store(self) -> Store:
        return Store(SqliteFile(self.site.state / "gate.db"))

    def _prepare(self, kind: Kind) -> None:
        """One release serves, and what this kind of run begins with is there."""
        self._runs += 1
        if self._projects is None or self._runs > _RUNS:
            self.begin()
        status, self._known = self._known or self.site.gate("status").document, None
        if any(status[key] is not None for key in ("held", "unfinished")):
            self.site.put_in_order()  # one that ended otherwise than it should must not spoil the next one
            status = self.site.gate("status").document
        self._base = status["stable"]["version"]
        self._next()
        if len(status["instances"]) != 1:
            self._deploy()
            self._base = self._target
            self._next()
        if kind.command == "rollback":
            self._deploy()
            self._base, self._target = self._target, self._base
        if kind.held:
            self.site.steps("50% 2s", "100% 2s")  # without users nothing can be told of it
            held = self.site.deploy(self._target)
            assert held.code == 6, f"{held.reasons}\n{held.told}"
        self.site.steps("50% 40s", "100% 8s")
        self._before, self._continues = self._last().id, kind.held or kind.dead
        if kind.dead:
            with ordering(self.site, every=_PAUSE):
                run = self._run(GOOD, _NEVER, 0.0, lambda: None, kill_at="bake")
            assert run.code == -9, f"{run.code}\n{run.told}"
            self._clear()  # who is killed so leaves a log and a socket there

    def _next(self) -> None:
        """The release after the one that serves is there to be deployed."""
        major, minor, patch = self._base.split(".")
        self._target = f"{major}.{int(minor) + 1}.{patch}"
        if self._target not in self._made:
            self.site.there.release(self._target, f"none {self._target}", image=self._image)
            self._made.add(self._target)

    def _deploy(self) -> None:
        self.site.steps()
        made = self.site.deploy(self._target)
        assert made.code == 0, f"{made.reasons}\n{made.told}"

    def _run(self, kind: Kind, step: str, delay: float, cut: Callable[[], None], *, kill_at: str = "") -> _Run:
        """Runs what is cut; it is killed once it has hung for long enough, or when the step ``kill_at`` begins."""
        argv = [sys.executable, str(DRIVER), step, str(delay), kind.interrupted_at, *self._words(kind)]
        log = self.site.root / "told"
        points: list[tuple[str, float]] = []
        answer: dict[str, Any] = {}
        ended = cut_at = 0.0
        with (
            log.open("wb") as stderr,
            subprocess.Popen(
                argv,
                cwd=self.site.root,
                env=self.site.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                bufsize=1,
            ) as running,
        ):
            assert running.stdin is not None
            assert running.stdout is not None
            hung = threading.Timer(_LIMIT + 120.0, running.kill)  # with the time until the cut
            hung.start()
            for line in running.stdout:
                told = json.loads(line)
                if "point" in told:
                    points.append((told["point"], told["at"]))
                    if told["point"] == kill_at:
                        running.kill()
                elif "cut" in told:
                    cut()
                    cut_at = time.monotonic()
                    hung.cancel()
                    hung = threading.Timer(_LIMIT, running.kill)
                    hung.start()
                    if delay == 0:
                        running.stdin.write("\n")
                else:
                    answer, ended = told["answer"], told["at"]
            running.wait()
            hung.cancel()
        after = time.monotonic() - cut_at if cut_at else 0.0
        return _Run(running.returncode, answer, log.read_text(errors="replace"), points, ended, after)

    def _words(self, kind: Kind) -> list[str]:
        return [kind.command, self._target] if kind.command in ("deploy", "rollback") else [kind.command]

    @property
    def _engine(self) -> Any:
        return at(f"unix://{self._server.socket}")


@contextmanager
def matrix(server: Server) -> Iterator[Matrix]:
    """The matrix on a server; what it made there is gone afterwards."""
    made = Matrix(server)
    try:
        yield made
    finally:
        made.end()
        made.remove_images()
