"""A project of its own for tests of the engine and the stack: one environment, tiny releases, free ports."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx

from gate import engines, releases
from gate.config import Environment
from gate.config.parsing import parse
from gate.engines.base import Instance
from gate.engines.local import LocalEngine
from gate.machine.shell import wait_until
from gate.machine.supervise import Process
from gate.releases import Release
from gate.routing.traffic import Traffic
from gate.stack import Stack
from gate.stack.proxy import Proxy

APP = Path(__file__).with_name("app.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def folder() -> Iterator[Path]:
    """A folder with a short path, as most projects have."""
    with tempfile.TemporaryDirectory(prefix="ge-", dir="/tmp") as name:
        yield Path(name).resolve()


def table(**changes: Any) -> dict[str, Any]:
    """An environment file's content: one web service, no servers but the proxy; ``changes`` replace whole tables."""
    port = free_port()
    plain: dict[str, Any] = {
        "app": {"name": "tiny", "url": f"http://127.0.0.1:{port}"},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "services": {"web": web()},
        "traffic": {"listen": f"127.0.0.1:{port}"},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
    }
    return plain | changes


def web(**changes: Any) -> dict[str, Any]:
    """A service that runs the tiny application."""
    plain: dict[str, Any] = {
        "command": ["{python}", "-m", "uvicorn", "app:app", "--uds", "{socket}", "--log-level", "warning"],
        "route": "/",
        "health": "/health",
        "ready": "/ready",
        "in_flight": "/health#in_flight",
        "identity": "/version#version",
        "stop_grace": "10s",
        "env": {"VERSION": "{version}", "SOCKET": "{socket}", "ORDERS": "{state}/orders"},
    }
    return plain | changes


def read(content: dict[str, Any], root: Path, **variables: str) -> Environment:
    return parse(content, variables, name="test", file=root / "environments" / "test.toml", root=root)


class Site:
    """One environment under test."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        engine = engines.create(environment)
        assert isinstance(engine, LocalEngine)
        self.engine = engine
        self.traffic = Traffic(environment)
        self.proxy = Proxy(environment)

    def release(self, version: str, fault: str = "") -> Release:
        """A release of the tiny application, wrong in the way ``fault`` names."""
        place = self.environment.root / "releases" / version
        place.mkdir(parents=True)
        shutil.copy(APP, place / "app.py")
        (place / "fault").write_text(fault)
        files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in place.iterdir()}
        manifest = {
            "format": 1,
            "name": "tiny",
            "version": version,
            "digest": releases.digest_of(files),
            "files": files,
        }
        (place / releases.MANIFEST).write_text(json.dumps(manifest))
        return releases.read(place)

    def start(self, release: Release, name: str) -> Instance:
        """Starts a release and waits until it is healthy."""
        instance = self.engine.start(release, name)
        assert wait_until(lambda: self.healthy(instance), timeout=20), self.engine.logs(instance)
        return instance

    def serve(self, version: str, name: str) -> Instance:
        """A release that serves all traffic."""
        instance = self.start(self.release(version), name)
        self.engine.promote(instance)
        return instance

    def healthy(self, instance: Instance) -> bool:
        return all(state.healthy for state in self.engine.health(instance))

    def get(self, path: str = "/version", headers: dict[str, str] | None = None) -> httpx.Response:
        """What the front door answers."""
        return httpx.get(self.environment.app.url + path, headers=headers, timeout=20, trust_env=False)

    def probe(self, instance: Instance, path: str = "/version") -> httpx.Response:
        """What an instance answers through the front door, whatever the traffic says."""
        door = self.engine.endpoint(instance)
        return httpx.get(door.url + path, headers=dict(door.headers), timeout=20, trust_env=False)

    def log(self) -> list[dict[str, Any]]:
        """The proxy's lines about requests."""
        return [json.loads(line) for line in self.traffic.access_log.read_text().splitlines()]


@contextmanager
def site(disk: Path | None = None, **changes: Any) -> Iterator[Site]:
    """An environment whose servers are up, in ``disk`` if given; everything is stopped afterwards."""
    with nullcontext(disk) if disk is not None else folder() as root:
        environment = read(table(**changes), root)
        here = Site(environment)
        try:
            Stack(environment).up()
            yield here
        finally:
            for instance in here.engine.instances():
                here.engine.stop(instance, grace=0)
            Stack(environment).down()


def sticky_site() -> AbstractContextManager[Site]:
    """An environment where a browser stays with the release it was given."""
    address = f"127.0.0.1:{free_port()}"
    return site(app={"name": "tiny", "url": f"http://{address}"}, traffic={"listen": address, "sticky": "cookie"})


WORKER = {
    "command": ["{python}", "-c", "import time; print('works', flush=True); time.sleep(600)"],
    "exclusive": True,
}


def kill(here: Site, instance: str, service: str = "web") -> None:
    """kill -9, and wait until it is seen."""
    process = Process(here.environment.state_folder / "rel" / instance, service)
    pid = process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not process.alive(), timeout=5)


def kill_proxy(here: Site) -> None:
    pid = here.proxy.process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not here.proxy.process.held(), timeout=5)


def changed(here: Site, services: dict[str, Any]) -> Site:
    """The same place after its environment file got other services."""
    content = table(services=services, traffic={"listen": here.environment.traffic.listen})
    content["app"]["url"] = here.environment.app.url
    return Site(read(content, here.environment.root))
