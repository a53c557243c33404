"""The smallest project that can be deployed: a tiny application, one check and one smoke test, no database."""

from __future__ import annotations

import os
import shutil
import signal
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from gate.config import Environment
from gate.environments import load
from gate.machine.shell import wait_until
from gate.machine.supervise import Process
from gate.records.store import Store
from gate.routing.traffic import Traffic
from tests.e2e import sites
from tests.engine import site as engine_site

HOUSE = Path(__file__).resolve().parents[2]
CASE = """
import pytest
pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]
def test_made_up(): pass
"""
ENVIRONMENT = """
app = {{ name = "tiny", url = "http://127.0.0.1:{port}" }}
releases = {{ source = "releases" }}
engine = {{ kind = "process" }}
traffic = {{ listen = "127.0.0.1:{port}" }}
checks = {{ folders = ["checks"] }}
smoke = {{ folders = ["smoke"] }}

[services.web]
command = ["{{python}}", "-m", "uvicorn", "app:app", "--uds", "{{socket}}", "--log-level", "warning"]
route = "/"
health = "/health"
ready = "/ready"
identity = "/version#version"
stop_grace = "5s"
env = {{ VERSION = "{{version}}", SOCKET = "{{socket}}", ORDERS = "{{state}}/orders" }}
"""


@dataclass
class Little(sites.Site):
    """The project, and what a person would look at in it."""

    @property
    def loaded(self) -> Environment:
        return load("local", self.root)

    @property
    def store(self) -> Store:
        return Store.of(self.loaded)

    @property
    def traffic(self) -> Traffic:
        return Traffic(self.loaded)

    def release(self, version: str, fault: str = "") -> None:
        """Makes a version that can be deployed, wrong in the way ``fault`` names."""
        engine_site.Site(self.loaded).release(version, fault or f"none in {version}")  # versions differ in content

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")

    def kill(self, instance: str) -> None:
        """kill -9 of its service, and wait until it is seen."""
        process = Process(self.state / "rel" / instance, "web")
        pid = process.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not process.alive(), timeout=5)

    def restore(self) -> None:
        """The check and the smoke test as they were."""
        for folder in ("checks", "smoke"):
            self.write(f"{folder}/test_made_up.py", CASE)

    def smoke(self, body: str) -> None:
        """Another body for the one smoke test."""
        self.write("smoke/test_made_up.py", CASE.replace("pass", body))


@contextmanager
def little(root: Path | None = None, *versions: str, state: str = "") -> Iterator[Little]:
    """The project with its proxy up and these versions deployed; ``root``: an empty folder with a short path;
    ``state``: the URL of a PostgreSQL that keeps its records."""
    with nullcontext(root) if root is not None else engine_site.folder() as place:
        port = engine_site.free_port()
        made = Little(place, f"http://127.0.0.1:{port}", {**os.environ, "PYTHONPATH": str(HOUSE)})
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, place / name)
        (place / "fixtures").symlink_to(HOUSE / "fixtures")
        kept = f'\n[state]\nurl = "{state}"\n' if state else ""
        made.write("environments/local.toml", ENVIRONMENT.format(port=port) + kept)
        made.restore()
        try:
            assert made.gate("up").code == 0
            for version in versions:
                made.release(version)
                ran = made.deploy(version)
                assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
            yield made
        finally:
            made.gate("down")
