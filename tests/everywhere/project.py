"""A project that is deployed somewhere: the same files, cases and environment file everywhere, but for its ground's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from gate.machine.shell import wait_until
from tests.e2e.sites import Ran, Site
from tests.engine.site import folder, free_port
from tests.swarm.book import Book, book
from tests.team.users import Bill, ordering

HERE = Path(__file__).parent
HOUSE = HERE.parents[1]
APP = HERE / "app.py"
INTERRUPTING = HOUSE / "tests" / "e2e" / "interrupting.py"
HOUSE_SMOKE = ("conftest.py", "test_alive.py", "test_identity.py", "test_log.py", "test_shutdown.py")
"""Smoke tests of the house that say something of any application."""

CHECK = """
import pytest
pytestmark = [pytest.mark.category("Deployment Scripts"), pytest.mark.critical]
def test_made_up(): pass
"""
SMOKE = '''
import pytest
pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]
def test_order(app):
    """An order is taken"""
    answer = app.post("/orders", data="a test")
    assert answer.status_code == 201, f"an order is answered with {answer.status_code}"
'''
RULES = """
# Whatever is wrong is wrong in every order; so few of them tell, also where a busy machine lets only few through.
[[rules]]
signal = "error_rate"
go = "<= 5%"
rollback = "> 30%"
min_n = 20
severity = "critical"

[[rules]]
signal = "log_error_rate"
go = "<= 5%"
rollback = "> 30%"
severity = "critical"

[[rules]]
signal = "response_time"
go = "< 1s"
rollback = "> 1500ms"
min_n = 10
"""
"""What releases are held against everywhere, besides what the engine can tell of resources."""
ENVIRONMENT = """
[app]
name = "tiny{port}"
url = "http://127.0.0.1:{port}"

[releases]
source = "releases"
{releases}

[engine]
{engine}

[traffic]
{traffic}
steps = [{steps}]

[checks]
folders = ["checks"]

[smoke]
folders = ["smoke"]

[services.web]
route = "/"
health = "/health"
ready = "/ready"
in_flight = "/health#in_flight"
identity = "/version#version"
start_timeout = "{start_timeout}"
stop_grace = "4s"
{service}

{rules}
[[rules]]
signal = "cpu"
go = "< 70%"
rollback = "> 90%"
min_n = 2

[[rules]]
signal = "memory"
go = "< 70%"
rollback = "> 90%"
min_n = 2
"""
STARTED_BY_THE_GATE = """
command = ["{{python}}", "app.py", "{{host}}", "{{port}}", "{book}"]
limits = {{ cpu = {cpu}, memory = "96M" }}
"""


class Ground(Protocol):
    """Where releases run: how they get there, what the environment file says of it, and what really runs."""

    kind: str
    outside: str
    """The address at which whatever runs there reaches this machine."""
    tasks: int
    """How many of one release run when it serves."""
    half_way: float
    """Seconds after which all traffic has begun to move, and may not have ended."""

    def tables(self, project: Project, cpu: float) -> dict[str, str]:
        """What is its own in the environment file: ``releases``, ``engine``, ``traffic``, ``service``."""

    def offer(self, project: Project, version: str, fault: str) -> None:
        """Makes a version that can be deployed, wrong in the way ``fault`` names."""

    def prepared(self, project: Project) -> AbstractContextManager[None]:
        """What a deployment finds there; nothing of the project is left there afterwards."""

    def broken(self, project: Project) -> int:
        """How many orders so far were asked for again by whoever passes them on, after they had been sent."""

    def running(self, project: Project) -> list[str]:
        """The version of everything that runs of a project, as the engine tells or the machine, not the gate."""


class Project(Site):
    """One of them, and what a person would do and look at in it."""

    ground: Ground
    book: Book
    first: tuple[Ran, Bill]
    """How the first deployment went, and what users saw of it."""

    def gate(self, *words: str, name: str = "local", timeout: float = 600) -> Ran:
        return super().gate(*words, name=name, timeout=timeout)

    def write(self, *, start_timeout: str = "60s", steps: str = '"50% 10s", "100% 5s"', cpu: float = 0.5) -> None:
        """The environment file; a release that replaces the one before gets all the traffic at once."""
        own = self.ground.tables(self, cpu)
        if self.ground.kind == "swarm":
            steps = steps.rpartition(", ")[2]
        text = ENVIRONMENT.format(port=self.port, start_timeout=start_timeout, steps=steps, rules=RULES, **own)
        (self.root / "environments" / "local.toml").write_text(text)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def offer(self, version: str, fault: str = "") -> None:
        self.ground.offer(self, version, fault)

    def files(self, place: Path, version: str, fault: str) -> list[str]:
        """Puts what a release consists of into a folder; the names."""
        shutil.copy(APP, place / "app.py")
        (place / "name").write_text(version)  # versions differ in content
        (place / "fault").write_text(fault)
        return ["app.py", "name", "fault"]

    def ordering(self, *, arriving: bool = False) -> AbstractContextManager[Bill]:
        """Users who order and never ask twice; ``arriving``: once the front door answers."""
        return ordering(self, users=4, every=0.08, arriving=arriving)

    def killed(self, version: str, step: str, seconds: float) -> None:
        """Deploys a version by a gate that is killed so long after a step has begun."""
        argv = [sys.executable, str(INTERRUPTING), version, step, str(seconds), "SIGKILL"]
        ended = subprocess.run(argv, cwd=self.root, env=self.environment, capture_output=True, timeout=600, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()

    def put_in_order(self) -> None:
        """Also where a release that should have been stopped was not: they are the ones with build metadata."""
        self.write()
        super().put_in_order()
        if "+" in str(self.serving()):
            self.gate("rollback")

    def only(self, version: str) -> None:
        """One release serves and is healthy, nothing else runs, and nothing is unfinished."""
        assert self.serving() == version
        expected = [version] * self.ground.tasks
        assert wait_until(lambda: self.ground.running(self) == expected, timeout=10), self.ground.running(self)
        self.known(version)

    def known(self, version: str) -> None:
        """The gate knows of nothing but this one release, and of nothing that is to be done."""
        status = self.gate("status").document
        runs = [(one["version"], one["stable"], one["healthy"]) for one in status["instances"]]
        assert runs == [(version, True, True)]
        assert [status[key] for key in ("lock", "unfinished", "held", "faults")] == [None, None, None, []]

    def nothing_lost(self, bill: Bill) -> None:
        """Every order that was acknowledged is in the book, none twice, and there were users at all."""
        assert len(bill.acknowledged) > 20, bill.answers
        assert self.book.lost(bill.acknowledged) == []
        again = sum(self.book.orders[order] - 1 for order in bill.acknowledged)
        assert again <= self.sent_again(), "orders were taken twice"

    def sent_again(self) -> int:
        """How many orders may have been taken twice, for whoever passes them on asks again."""
        return self.ground.broken(self)


@contextmanager
def project(ground: Ground) -> Iterator[Project]:
    """An empty one whose servers are up."""
    with folder() as root, book(ground.outside) as orders:
        made = Project(root, f"http://127.0.0.1:{free_port()}", {**os.environ, "PYTHONPATH": str(HOUSE)})
        made.ground, made.book = ground, orders
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        for name in ("run", "environments", "checks", "smoke", "releases"):
            (root / name).mkdir()
        for name in HOUSE_SMOKE:
            shutil.copy(HOUSE / "smoke" / name, root / "smoke" / name)
        (root / "checks" / "test_made_up.py").write_text(textwrap.dedent(CHECK))
        (root / "smoke" / "test_order.py").write_text(textwrap.dedent(SMOKE))
        made.write()
        with ground.prepared(made):
            yield made
