"""Places to run smoke tests in: a project folder of its own with real servers on free ports, below /tmp."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gate import environments, releases
from gate.config import Environment
from gate.engines.base import Instance
from gate.engines.process import ProcessEngine
from gate.machine import shell
from gate.releases import Release
from gate.results import Case, CaseOutcome, Severity, SuiteResult
from gate.routing.traffic import Traffic
from gate.stack import Stack
from gate.suites import suite
from gate.suites.context import Context

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
HEALTHY_WITHIN = 30.0

TINY = """
[app]
name = "tiny"
url = "http://127.0.0.1:{port}"
[releases]
source = "releases"
[engine]
kind = "process"
[services.web]
command = ["{{python}}", "tiny.py", "{{socket}}"]
route = "/"
health = "/health"
ready = "/ready"
in_flight = "/health#in_flight"
identity = "/version#version"
digest = "/version#digest"
stop_grace = "3s"
limits = {{ cpu = 1.0, memory = "160M" }}
[services.worker]
command = ["sleep", "1000"]
exclusive = true
limits = {{ cpu = 1.0, memory = "64M" }}
[traffic]
listen = "127.0.0.1:{port}"
[checks]
folders = ["checks"]
[smoke]
folders = ["smoke"]
[[rules]]
signal = "response_time"
rollback = "> 250ms"
min_n = 20
[[rules]]
signal = "disk"
rollback = "> 99%"
"""

SHOP = """
extends = "local.toml"
[app]
url = "http://127.0.0.1:{port}"
[releases]
source = "releases"
[services.web]
stop_grace = "3s"
[services.web.env]
DATABASE_URL = "postgresql://store:${{generated:database_password}}@127.0.0.1:{postgres}/store"
REDIS_URL = "redis://:${{generated:cache_password}}@127.0.0.1:{cache}/0"
[database]
url = "postgresql://store:${{generated:database_password}}@127.0.0.1:{postgres}/store"
[cache]
url = "redis://:${{generated:cache_password}}@127.0.0.1:{cache}/0"
[traffic]
listen = "127.0.0.1:{port}"
[stack]
postgres = {{ port = {postgres} }}
cache = {{ port = {cache} }}
[[rules]]
signal = "disk"
rollback = "> 99%"
"""


# A thread that spins gets much less than a core where many tests run at once; one that waits takes next to nothing.
LOW_CPU_LIMIT = """
[[rules]]
signal = "cpu"
go = "< 6%"
rollback = "> 8%"
min_n = 3
"""


class Place:
    """One environment with its servers up: starts releases and lets the smoke tests judge them."""

    def __init__(self, root: Path, environment: Environment) -> None:
        self.root = root
        self.environment = environment
        self.engine = ProcessEngine(environment)
        self._runs = 0

    def start(self, release: Release, instance_id: str, *, wait: bool = True) -> Instance:
        instance = self.engine.start(release, instance_id)
        if wait:
            self.wait(instance)
        return instance

    def wait(self, instance: Instance) -> None:
        """Waits until the instance's processes answer at all; whether well is for the smoke tests to say."""

        def answers() -> bool:
            states = self.engine.health(instance)
            return all(state.healthy or "does not answer" not in state.detail for state in states)

        assert shell.wait_until(answers, timeout=HEALTHY_WITHIN), self.engine.logs(instance)

    def judge(
        self, instance: Instance, folders: Sequence[str], *, phase: str = "candidate", only: Sequence[Severity] = ()
    ) -> SuiteResult:
        """Runs cases on an instance to their end, whatever they find."""
        self._runs += 1
        release = releases.read(Path(instance.folder))
        context = Context(self.environment.name, phase, 1, release, instance=instance.id, only=tuple(only))
        out = self.root / "out" / str(self._runs)
        return suite.run(self.environment, context, folders, out)

    def sent(self, instance: Instance, uri: str, method: str = "GET") -> int:
        """How many requests for a path the proxy's log says the instance was asked as a probe."""
        log = Traffic(self.environment).access_log.read_text()
        lines = [line for line in map(json.loads, log.splitlines()) if f"/{instance.id}/" in line.get("upstream", "")]
        asked = [(line["request"]["method"], line["request"]["uri"]) for line in lines if line.get("probe")]
        return asked.count((method, uri))


def failed(result: SuiteResult) -> dict[str, str]:
    """The cases that found something, by file and name (``test_alive.py::test_ready``), each with its message."""
    assert not result.broken, result.broken
    assert not result.missing, result.missing
    bad = result.of(CaseOutcome.FAILED, CaseOutcome.ERROR, CaseOutcome.SKIPPED)
    return {short(case): f"{case.outcome}: {case.message}" for case in bad}


def short(case: Case) -> str:
    return case.id.removeprefix("smoke/")


@contextmanager
def place(name: str, text: str) -> Iterator[Place]:
    """A project with the repository's suite and one environment, its servers up for the time of the block."""
    root = Path(tempfile.mkdtemp(prefix="gs-", dir="/tmp"))  # a socket's path is short
    try:
        for folder in ("checks", "smoke", "fixtures"):
            shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("conftest.py", "pytest.ini"):
            shutil.copy(REPOSITORY / file, root / file)
        for linked in ("gate", "example", ".github", "requirements.lock"):
            (root / linked).symlink_to(REPOSITORY / linked)
        (root / "environments").mkdir()
        shutil.copy(REPOSITORY / "environments" / "local.toml", root / "environments")
        ports = {key: free_port() for key in ("port", "postgres", "cache")}
        (root / "environments" / f"{name}.toml").write_text(text.format(**ports))
        environment = environments.load(name, root)
        servers = Stack(environment)
        here = Place(root, environment)
        try:
            servers.up(_quiet)
            yield here
        finally:
            for instance in here.engine.instances():
                here.engine.stop(instance, grace=0)
            servers.down(_quiet)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _quiet(_: str) -> None:
    """Nobody watches."""


def tiny_release(folder: Path, faults: Sequence[str] = ()) -> Release:
    """The tiny application as a release, wrong in the ways that ``faults`` name."""
    version = f"1.0.0+{'.'.join(faults)}" if faults else "1.0.0"
    folder = folder / version
    folder.mkdir(parents=True)
    shutil.copy(HERE / "tiny.py", folder)
    (folder / "faults.txt").write_text(" ".join(faults))
    (folder / "openapi.json").write_text(json.dumps(DOCUMENT))
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    manifest = {"format": 1, "name": "tiny", "version": version, "files": files, "openapi": "openapi.json"}
    manifest["digest"] = releases.digest_of(files)
    (folder / releases.MANIFEST).write_text(json.dumps(manifest))
    return releases.read(folder)


def _answers(schema: dict[str, object]) -> dict[str, object]:
    return {"responses": {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}}


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "tiny", "version": "1"},
    "paths": {
        "/items": {"get": _answers({"$ref": "#/components/schemas/Items"})},
        "/mine": {"get": _answers({})},
        "/orders": {"post": {"requestBody": {"content": {"application/json": {"schema": {}}}}, **_answers({})}},
    },
    "components": {
        "schemas": {
            "Items": {
                "type": "object",
                "required": ["items"],
                "properties": {"items": {"type": "array", "items": {"type": "string"}}},
            }
        }
    },
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
