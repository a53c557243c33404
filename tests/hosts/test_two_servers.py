"""Whole deployments to two servers at once, under users of both."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gate.config import DockerSettings
from gate.environments import load
from tests.commands.little import CASE, HOUSE
from tests.containers.dockered import IMAGE, Dockered
from tests.e2e.sites import Ran, Site
from tests.engine.site import folder, free_port
from tests.hosts.conftest import engine_of
from tests.remote.project import ENVIRONMENT
from tests.remote.server import Server, removed
from tests.team.users import shopping

_WITHIN = 1800.0  # seconds; the machine may be busy, and nobody waits longer than it takes
DYING = Path(__file__).with_name("dying.py")
BOTH = ("10.79.1.2", "10.79.2.2")


@dataclass
class Two(Site):
    """A project that is deployed to two servers."""

    port: int = 0

    def gate(self, *words: str, name: str = "local", timeout: float = _WITHIN) -> Ran:
        return super().gate(*words, name=name, timeout=timeout)

    @property
    def docker(self) -> DockerSettings:
        engine = load("local", self.root).engine
        assert isinstance(engine, DockerSettings)
        return engine

    def everywhere(self) -> list[str]:
        """The version that each server's users get."""
        urls = [f"http://{address}:{self.port}/version" for address in BOTH]
        return [httpx.get(url, timeout=60, trust_env=False).json()["version"] for url in urls]

    @contextmanager
    def shopping(self) -> Iterator[list[int]]:
        """Users of both servers, who never stop; the statuses they got, once they have."""
        answers: list[int] = []
        with ExitStack() as stack:
            sites = [replace(self, url=f"http://{address}:{self.port}") for address in BOTH]
            found = [stack.enter_context(shopping(site, users=2, every=0.1)) for site in sites]
            yield answers
        answers += [status for one in found for status in one]

    def runs(self) -> list[tuple[str, str, bool]]:
        """What ``status`` tells of each server: its name, a version, and whether that serves there."""
        rows: list[dict[str, Any]] = self.gate("status").document["instances"]
        return [(row["server"].partition(":")[0], row["version"], row["stable"]) for row in rows]


def copied(*images: str) -> None:
    """Brings them to the second server at once: that the gate does it by SSH is seen in test_engine.py."""
    save = ["docker", "-H", f"unix://{engine_of(1)}", "save", *images]
    load = ["docker", "-H", f"unix://{engine_of(2)}", "load", "-q"]
    with subprocess.Popen(save, stdout=subprocess.PIPE) as saved:
        subprocess.run(load, stdin=saved.stdout, stdout=subprocess.DEVNULL, timeout=_WITHIN, check=True)


@pytest.fixture(scope="module")
def site(servers: tuple[Server, Server]) -> Iterator[Two]:
    """1.0.0 serves from both; the image of 1.1.0 is there as well."""
    with folder() as root:
        port = free_port()
        made = Two(root, f"http://{BOTH[0]}:{port}", {**os.environ, "PYTHONPATH": str(HOUSE)}, port=port)
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        for name in ("checks", "smoke"):
            (root / name).mkdir()
            (root / name / "test_made_up.py").write_text(CASE)
        engine = [f'{key} = "{value}"' for key, value in servers[0].engine.items() if key != "host"]
        engine.append(f"hosts = {[server.host for server in servers]}")
        text = ENVIRONMENT.format(port=port, image=IMAGE, orders="/tmp/orders", engine="\n".join(engine))  # noqa: S108
        text = text.replace(f"http://127.0.0.1:{port}", made.url).replace(f"127.0.0.1:{port}", f"0.0.0.0:{port}")
        text = text.replace('stop_grace = "5s"', f'stop_grace = "5s"\nstart_timeout = "{_WITHIN:.0f}s"')
        (root / "environments").mkdir()
        (root / "environments" / "local.toml").write_text(text)
        environment = load("local", root)
        first = Dockered(environment.derived({"engine": made.docker.each[0]}, []))
        first.release("1.0.0", "")
        first.release("1.1.0", "none")
        copied(f"{IMAGE}:1.0.0", f"{IMAGE}:1.1.0")
        try:
            up = made.gate("up")
            assert up.code == 0, up.told
            ran = made.deploy("1.0.0")
            assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
            yield made
        finally:
            made.gate("down")
            for docker in made.docker.each:
                removed(environment, docker)


class TestTwoServers:
    def test_a_gate_that_is_killed_between_two_switches_is_recovered_from(self, site: Two) -> None:
        with site.shopping() as answers:
            argv = [sys.executable, str(DYING), "1.1.0"]
            killed = subprocess.run(
                argv, cwd=site.root, env=site.environment, capture_output=True, timeout=_WITHIN, check=False
            )
            assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
            assert site.everywhere() == ["1.1.0", "1.0.0"]
            status = site.gate("status").document
            assert "users do not reach the same release everywhere" in " ".join(status["faults"])
            assert status["next"].endswith("recover")
            recovered = site.gate("recover")
        assert (recovered.code, site.everywhere()) == (1, ["1.0.0", "1.0.0"]), recovered.told
        assert set(answers) == {200}
        assert site.runs() == [(BOTH[0], "1.0.0", True), (BOTH[1], "1.0.0", True)]

    def test_without_one_of_them_nothing_begins_and_nobody_says_all_is_well(
        self, site: Two, servers: tuple[Server, Server]
    ) -> None:
        servers[1].cut()
        try:
            refused = site.deploy("1.1.0")
            status = site.gate("status").document
        finally:
            servers[1].up()
        assert refused.code not in {0, 1}, refused.told
        assert BOTH[1] in refused.told
        assert any(BOTH[1] in fault for fault in status["faults"])
        assert not status["stable"]["runs"]
        assert status["next"], "there is something to be done"
        assert site.everywhere() == ["1.0.0", "1.0.0"]

    def test_a_good_release_takes_over_on_both_and_nobody_notices(self, site: Two) -> None:
        with site.shopping() as answers:
            ran = site.deploy("1.1.0")
        assert (ran.code, site.everywhere()) == (0, ["1.1.0", "1.1.0"]), f"{ran.reasons}\n{ran.told}"
        assert set(answers) == {200}
        assert site.runs() == [(BOTH[0], "1.1.0", True), (BOTH[1], "1.1.0", True)]
        assert "healthy on 2 servers" in ran.told
        facts = " ".join((site.root / ran.document["report"]).with_name("decision.json").read_text().split())
        for address in BOTH:
            assert f" on {address}" in facts
