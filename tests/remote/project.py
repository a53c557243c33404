"""A project that is deployed to a server by SSH, whose releases are images of the tiny application."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from gate.config import Environment
from gate.containers.client import Silent
from gate.deployment import holding
from gate.environments import load
from gate.machine.shell import wait_until
from gate.routing import place
from gate.routing.traffic import Traffic
from tests.commands.little import CASE, HOUSE
from tests.containers.dockered import IMAGE, Dockered
from tests.e2e.sites import Site
from tests.engine.site import folder, free_port
from tests.remote.server import Server, docker_of, removed

ENVIRONMENT = """
app = {{ name = "tiny{port}", url = "http://127.0.0.1:{port}" }}
releases = {{ source = "releases", image = "{image}" }}
traffic = {{ listen = "127.0.0.1:{port}", steps = [] }}
checks = {{ folders = ["checks"] }}
smoke = {{ folders = ["smoke"] }}

[engine]
{engine}

[services.web]
command = ["{{python}}", "-m", "uvicorn", "app:app", "--host", "{{host}}", "--port", "{{port}}", "--no-access-log"]
port = 8000
route = "/"
health = "/health"
ready = "/ready"
in_flight = "/health#in_flight"
identity = "/version#version"
stop_grace = "5s"
limits = {{ cpu = 1.0, memory = "256M" }}
env = {{ VERSION = "{{version}}", ORDERS = "{orders}" }}
"""


_STEPS = re.compile(r"steps = \[[^]]*\]")


@dataclass
class Remote(Site):
    """The project, and what a person would look at in it."""

    @property
    def loaded(self) -> Environment:
        return load("local", self.root)

    @property
    def there(self) -> Dockered:
        return Dockered(self.loaded)

    def canary(self) -> tuple[str, float] | None:
        """The candidate that has a share of the traffic, and that share; None without one."""
        told = []

        def asks() -> bool:
            environment = self.loaded
            try:
                told.append(Traffic(environment, place.of(environment)).canary())
            except Silent:  # this process has a connection of its own, which was cut as well
                return False
            return True

        assert wait_until(asks, timeout=30, every=0.5), "the server does not tell the shares"
        return told[0]

    def steps(self, *steps: str) -> None:
        """From now on traffic is given so, as in ``"50% 10s"``."""
        file = self.root / "environments" / "local.toml"
        lines = file.read_text().splitlines()
        given = ", ".join(f'"{step}"' for step in steps)
        file.write_text("\n".join(_STEPS.sub(f"steps = [{given}]", line) for line in lines) + "\n")


@contextmanager
def project(
    server: Server, releases: Mapping[str, str], image: str = IMAGE, *, orders: bool = False
) -> Iterator[Remote]:
    """One whose first release serves from a container of the server. ``releases``: versions, and the fault of each.

    ``orders``: all releases keep theirs in one file, ``orders/taken`` of the project; else each container its own.
    """
    with folder() as root:
        port = free_port()
        made = Remote(root, f"http://127.0.0.1:{port}", {**os.environ, "PYTHONPATH": str(HOUSE)})
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        for name in ("checks", "smoke"):
            (root / name).mkdir()
            (root / name / "test_made_up.py").write_text(CASE)
        lines = [f'{key} = "{value}"' for key, value in server.engine.items()]
        if orders:
            (root / "orders").mkdir()
            (root / "orders").chmod(0o777)  # a container's user is nobody here
            root.chmod(0o755)
            lines.append(f'mounts = ["{root}/orders:/orders"]')
        (root / "environments").mkdir()
        kept = "/orders/taken" if orders else "/tmp/orders"  # noqa: S108 - in a container
        text = ENVIRONMENT.format(port=port, image=image, orders=kept, engine="\n".join(lines))
        if orders:  # a busy machine is no fault of the candidate's
            text = text.replace('stop_grace = "5s"', 'stop_grace = "5s"\nstart_timeout = "150s"')
        (root / "environments" / "local.toml").write_text(text)
        for version, fault in releases.items():
            made.there.release(version, fault, image=image)
        try:
            up = made.gate("up")
            assert up.code == 0, up.told
            ran = made.deploy(next(iter(releases)))
            assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
            yield made
        finally:
            holding.keeper(made.loaded).stop(0)  # of what is held yet
            made.gate("down")
            there = made.there
            removed(there.environment, docker_of(there))
