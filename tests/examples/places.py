"""Where the shop's two example environments lead in the tests: a project, servers of its own, engines of this machine.

PostgreSQL and the cache are those of the project's embedded stack, which listen on this machine's loopback; containers
reach them, as the gate does, at an address of the machine that they know. Each environment has its own database there.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import threading
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from example.customers import Customers, Tally
from gate.approval import logins
from gate.config import ContainerSettings, DockerSettings, Environment
from gate.containers.client import client
from gate.deployment import holding
from gate.environments import load
from gate.machine.shell import wait_until
from gate.stack.postgres import Postgres
from tests.e2e.sites import REPOSITORY, Ran, Site, free_port, make_site
from tests.engine.site import folder
from tests.everywhere.grounds import gateway
from tests.examples.changes import change, half_an_hour_ago, in_both, in_the_stack, on_this_server, on_this_swarm
from tests.examples.relay import relay
from tests.remote.server import Server, removed
from tests.swarm.conftest import REGISTRY, Swarmed, docker
from tests.swarm.nodes import NODES, OUTSIDE

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
AUTHOR = "Dora <dora@shop.example>"
HANDED_OVER = {"BASE": "gate-test-python:1", "COMMIT": COMMIT, "COMMIT_AUTHORS": AUTHOR}
"""What the CI gives to the build: the base image, and whose commit it is."""
WITHOUT_A_MESH = {"STORE_PORT_MODE": "host", "STORE_ENDPOINT_MODE": "dnsrr", "STORE_PORT": "0"}
"""What the stack file offers where the kernel has no ip_vs."""
SERVICE = ("DATABASE_URL", "REDIS_URL", "STORE_SECRET", "STORE_TRAINING_CODE")
"""What the shop itself is told."""
STACK = "store"
LOG = "requests.log"
FEW = "tests/unit/test_verdict.py"
BALANCER = Path(__file__).parents[1] / "swarm" / "balancer.py"
ACCOUNTS = """
import os, pwd
known = pwd.getpwuid
pwd.getpwuid = lambda number: pwd.struct_passwd((os.environ["ACCOUNT"], *known(number)[1:]))
"""
"""What Python reads before anything else: whoever acts has an account of their own, as on a machine of several."""


@dataclass
class Shop(Site):
    """One of the environments, and what is typed there."""

    name: str = ""

    def gate(self, *words: str, name: str = "", timeout: float = 900) -> Ran:
        return super().gate(*words, name=name or self.name, timeout=timeout)

    def release(self, version: str) -> Ran:
        return self.gate("--version", version)

    def typed_by(self, account: str, *words: str) -> Ran:
        """The same by somebody else who works on the gate's machine."""
        own = {**self.environment, "ACCOUNT": account, "PYTHONPATH": str(self.root / "accounts")}
        return Shop(self.root, self.url, own, own_interpreter=True, name=self.name).gate(*words)

    @property
    def database(self) -> str:
        return self.environment["DATABASE_URL"]

    @property
    def loaded(self) -> Environment:
        return load(self.name, self.root, self.environment)

    @contextmanager
    def ordering(self, *, arriving: bool = False) -> Iterator[Tally]:
        """Users who never ask twice, so many that a canary has some; ``arriving``: once the shop is open."""
        customers, over = Customers(self.url, count=20, pause=2.0), threading.Event()
        if not arriving:
            with customers.shopping() as tally:
                yield tally
            return

        def come() -> None:
            wait_until(lambda: over.is_set() or self.serving() is not None, timeout=900, every=0.1)
            if not over.is_set():
                with customers.shopping():
                    over.wait()

        crowd = threading.Thread(target=come)
        crowd.start()
        try:
            yield customers.tally
        finally:
            over.set()
            crowd.join()


@dataclass
class Places:
    """Both of them."""

    root: Path
    staging: Shop
    production: Shop

    @contextmanager
    def first_day(self) -> Iterator[Swarmed]:
        """What the stack file's top says is typed before the gate comes, the tables first; what then runs."""
        lines = (self.root / "example" / "store" / "stack.yaml").read_text().splitlines()
        deploys, tables = (shlex.split(line.removeprefix("#   ")) for line in lines if line.startswith("#   "))
        name, _, version = deploys.pop(0).partition("=")
        given = {name: version, "DOCKER_HOST": f"unix://{NODES[0].socket}", **WITHOUT_A_MESH}
        there = Swarmed(self.root, self.production.url)
        there.stack, there.manager = STACK, NODES[0]
        no_stack()
        with balancer(self.root, self.production.url):
            try:
                for argv in (tables, deploys):
                    subprocess.run(argv, cwd=self.root, env={**os.environ, **given}, timeout=300, check=True)
                yield there
            finally:
                no_keeper_and_no_images(self.production)
                no_stack()

    def tested(self) -> None:
        """The CI's test job, which writes what production asks for; of all tests it runs a few here."""
        written = self.root / "reports" / "tests" / "junit.xml"
        argv = [sys.executable, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", "tests", f"--junitxml={written}"]
        env = {**os.environ, "GITHUB_SHA": COMMIT}
        subprocess.run([*argv, FEW], cwd=REPOSITORY, env=env, timeout=300, check=True, capture_output=True)

    def items(self) -> list[str]:
        """What production's checklist wants to be ticked before."""
        return list(tomllib.loads((self.root / "environments" / "production.toml").read_text())["checklist"]["before"])


@contextmanager
def places(remote: Server, docker_host: str) -> Iterator[Places]:
    """The repository's files with what changes.py lists, and nothing deployed yet."""
    with folder() as root, ExitStack() as ends:
        site = make_site(root)
        ends.callback(site.gate, "down")
        registry, port = REGISTRY.rsplit(":", 1)
        near = ends.enter_context(relay("127.0.0.1", (registry, int(port))))  # an engine trusts one of its own machine
        team = f"t{uuid.uuid4().hex[:6]}"  # nobody has pushed there yet
        ports = {"staging": free_port(), "production": free_port()}
        variables, log = root / "store.env", root / LOG
        files, shop = root / "environments", root / "example" / "store"
        change(files, in_both(half_an_hour_ago()))
        change(files, on_this_server(remote, f"127.0.0.1:{near}/{team}", ports["staging"]))
        change(files, on_this_swarm(NODES[0].socket, f"{REGISTRY}/{team}", log, variables))
        change(shop, in_the_stack(f"{REGISTRY}/{team}", variables))
        (root / "accounts").mkdir()
        (root / "accounts" / "sitecustomize.py").write_text(ACCOUNTS)
        up = site.gate("up")
        assert up.code == 0, up.told
        addresses = {"staging": gateway(docker_host), "production": OUTSIDE}
        shops = {}
        for number, (name, address) in enumerate(addresses.items()):
            given = {"FRONTEND_URL": f"http://127.0.0.1:{ports[name]}", **own_servers(site, name, number)}
            for key in ("DATABASE_URL", "REDIS_URL"):
                given[key] = ends.enter_context(reached(given[key], address))
            kept = {key: value for key, value in os.environ.items() if key not in logins.SAID}
            shops[name] = Shop(root, given["FRONTEND_URL"], {**kept, **HANDED_OVER, **given}, name=name)
        variables.touch(0o600)
        variables.write_text("".join(f"{key}={shops['production'].environment[key]}\n" for key in SERVICE))
        staging = shops["staging"]
        nothing_there(staging)  # of a run of these tests that was killed
        ends.callback(nothing_there, staging)
        ends.callback(no_keeper_and_no_images, staging)
        yield Places(root, **shops)


def own_servers(site: Site, name: str, number: int) -> dict[str, str]:
    """The variables of one environment: a database and a cache that are its own, and secrets."""
    local = load("local", site.root)
    assert local.database is not None
    assert local.cache is not None
    assert local.stack is not None
    assert local.stack.postgres is not None
    everything = Postgres(local, local.stack.postgres).superuser().reveal()
    with psycopg.connect(everything, autocommit=True, connect_timeout=5) as connection:
        made = sql.SQL("CREATE DATABASE {} OWNER store").format(sql.Identifier(name))
        connection.execute(made)
    return {
        "DATABASE_URL": f"{local.database.url.reveal().rpartition('/')[0]}/{name}",
        "REDIS_URL": f"{local.cache.url.reveal().rpartition('/')[0]}/{number}",
        "STORE_SECRET": secrets.token_urlsafe(24),
        "STORE_TRAINING_CODE": secrets.token_urlsafe(24),
    }


@contextmanager
def reached(url: str, address: str) -> Iterator[str]:
    """The URL of a server of this machine's loopback at an address of the machine that containers know."""
    parts = urlsplit(url)
    assert parts.port is not None
    with relay(address, ("127.0.0.1", parts.port)) as port:
        yield url.replace(f"@127.0.0.1:{parts.port}", f"@{address}:{port}")


@contextmanager
def balancer(root: Path, url: str) -> Iterator[None]:
    """What stands before the swarm, and writes what production.toml wants of users' requests."""
    argv = [sys.executable, str(BALANCER), url.rpartition(":")[2], f"{STACK}_web", str(root / LOG)]
    running = subprocess.Popen([*argv, *(str(node.socket) for node in NODES)])
    try:
        yield
    finally:
        running.kill()
        running.wait()


def no_keeper_and_no_images(shop: Shop) -> None:
    """Nobody watches what is held yet, and no version has a name on its engine."""
    environment = shop.loaded
    holding.keeper(environment).stop(0)
    assert isinstance(environment.engine, ContainerSettings)
    engine, repository = client(environment.engine), str(environment.releases.image)
    for tag in (tag for image in engine.images.list(name=repository) for tag in image.tags):
        if tag.startswith(f"{repository}:"):
            engine.images.remove(tag, force=True)


def nothing_there(staging: Shop) -> None:
    """No container of it is on its server, and no volume."""
    environment = staging.loaded
    assert isinstance(environment.engine, DockerSettings)
    removed(environment, environment.engine)


def no_stack() -> None:
    docker("stack", "rm", STACK, check=False)
    own = {"label": f"com.docker.swarm.service.name={STACK}_web"}
    ended = wait_until(lambda: not any(node.api.containers(all=True, filters=own) for node in NODES), timeout=120)
    assert ended, f"tasks of the stack {STACK} stay"
