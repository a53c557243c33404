"""Projects of teams that deploy with their own commands, and a gate that drives these."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gate import releases
from gate.machine.shell import wait_until
from tests.e2e.sites import Site
from tests.engine.site import folder, free_port

HERE = Path(__file__).parent
HOUSE = HERE.parents[1]
TOKEN = 'k"7\n{x} $HOME %41'
CHECK = """
import pytest
pytestmark = [pytest.mark.category("Deployment Scripts"), pytest.mark.critical]
def test_made_up(): pass
"""
SMOKE = """
import pytest
pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]
def test_it_answers(app, release):
    assert app.get("/version").json()["version"] == release.version
"""
COMMON = """
app = {{ name = "tiny", url = "http://127.0.0.1:{port}" }}
releases = {{ source = "releases" }}
checks = {{ folders = ["checks"] }}
smoke = {{ folders = ["smoke"] }}

[services.web]
route = "/"
health = "/health"
identity = "/version#version"
start_timeout = "10s"
"""
IN_PLACE = """
[engine]
kind = "command"
deploy = ["sh", "deploy.sh", "{{version}}"]
serves = ["sh", "-c", "[ ! -e run/wanted ] || cat run/wanted"]
logs = ["cat", "run/{{version}}.log"]
timeout = "20s"
env = {{ PORT = "{port}", DEPLOY_TOKEN = "${{DEPLOY_TOKEN}}" }}
"""
BESIDE = """
[engine]
kind = "command"
deploy = ["{{python}}", "beside.py", "deploy", "{{version}}", "{{instance}}"]
promote = ["{{python}}", "beside.py", "promote", "{{instance}}", "{{percent}}"]
stop = ["{{python}}", "beside.py", "stop", "{{instance}}"]
health = ["{{python}}", "beside.py", "health", "{{instance}}"]
serves = ["{{python}}", "beside.py", "serves"]
logs = ["cat", "run/{{version}}.log"]
candidate = "http://127.0.0.1:{port}"
headers = {{ X-Instance = "{{instance}}" }}
requests = ["tail", "-n", "1000", "-F", "run/requests.log"]
timeout = "20s"

[traffic]
steps = ["50% 20s", "100% 3s"]
"""


class Team(Site):
    """A project of a team; nothing of it but the environment file knows the gate."""

    def release(self, version: str, fault: str = "") -> None:
        place = self.root / "releases" / version
        place.mkdir(parents=True)
        shutil.copy(HERE / "app.py", place / "app.py")
        (place / "fault").write_text(fault)
        (place / "name").write_text(version)  # versions differ in content
        files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in place.iterdir()}
        manifest = {"format": 1, "name": "tiny", "version": version, "digest": releases.digest_of(files)}
        (place / releases.MANIFEST).write_text(json.dumps(manifest | {"files": files}))

    def by_hand(self, version: str) -> None:
        """As the team did before it had a gate."""
        argv = ["sh", "deploy.sh", version]
        subprocess.run(argv, cwd=self.root, env=self.environment, check=True, timeout=30)

    def wanted(self) -> str:
        return (self.root / "run" / "wanted").read_text().strip()

    def end(self) -> None:
        """Ends every process that runs a file of this project."""
        import psutil

        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if any(str(self.root) in word for word in process.cmdline()) or (
                    process.cwd() == str(self.root) and process.pid != os.getpid()
                ):
                    process.send_signal(signal.SIGKILL)


def team(root: Path, engine: str) -> Team:
    port = free_port()
    made = Team(root, f"http://127.0.0.1:{port}")
    for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
        shutil.copy(HOUSE / name, root / name)
    for name in ("deploy.sh", "beside.py"):
        shutil.copy(HERE / name, root / name)
    shutil.copytree(HOUSE / "example" / "recipes" / "shell" / "deploy", root / "deploy")
    (root / "fixtures").symlink_to(HOUSE / "fixtures")
    for name, text in (("checks/test_made_up.py", CHECK), ("smoke/test_made_up.py", SMOKE)):
        (root / name).parent.mkdir()
        (root / name).write_text(text)
    (root / "environments").mkdir()
    (root / "environments" / "local.toml").write_text(textwrap.dedent(COMMON + engine).format(port=port))
    made.environment = {
        **os.environ,
        "PYTHONPATH": str(HOUSE),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DEPLOY_TOKEN": TOKEN,
        "PORT": str(port),
    }
    return made


@pytest.fixture
def in_place() -> Iterator[Team]:
    """A team whose script replaces what runs; 0.9.0 was deployed by hand."""
    with folder() as root:
        made = team(root, IN_PLACE)
        try:
            made.release("0.9.0")
            made.by_hand("0.9.0")
            yield made
        finally:
            made.end()


@pytest.fixture
def beside() -> Iterator[Team]:
    """A team with a load balancer, which runs and sends everybody to nobody yet."""
    with folder() as root:
        made = team(root, BESIDE)
        (root / "run").mkdir()
        argv = [sys.executable, str(root / "beside.py"), "balance"]
        balancer = subprocess.Popen(argv, cwd=root, env=made.environment)
        try:
            port = int(made.url.rpartition(":")[2])
            assert wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, timeout=10)
            yield made
        finally:
            balancer.kill()
            balancer.wait()
            made.end()
