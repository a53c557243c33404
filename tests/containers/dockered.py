"""An environment of its own whose releases are images of the tiny application."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gate import releases
from gate.config import DockerSettings
from gate.containers.client import client, listed
from gate.releases import Release
from tests.engine.site import APP, Site, folder, web
from tests.engine.site import site as made_site

COMMAND = ["{python}", "-m", "uvicorn", "app:app", "--host", "{host}", "--port", "{port}", "--log-level", "warning"]
IMAGE = "gate-test-tiny"


class Dockered(Site):
    """An environment whose releases are images."""

    @property
    def docker(self) -> Any:
        assert isinstance(self.environment.engine, DockerSettings)
        return client(self.environment.engine)

    def release(
        self, version: str, fault: str = "", *, dockerfile: str = "USER 10001\n", image: str = IMAGE
    ) -> Release:
        with folder() as place:
            shutil.copy(APP, place / "app.py")
            (place / "fault").write_text(fault)
            (place / "Dockerfile").write_text(
                "FROM gate-test-python:1\nCOPY app.py fault /app/\n"
                f"LABEL of={self.environment.state_folder}\n{dockerfile}"
            )
            self.docker.images.build(path=str(place), rm=True, tag=f"{image}:{version.replace('+', '_')}")
        return releases.source(self.environment).get(version)

    def container(self, instance: str) -> Any:
        (made,) = listed(
            self.docker,
            stopped=True,
            label=[f"deploy-gate.state={self.environment.state_folder}", f"deploy-gate.instance={instance}"],
        )
        return made


def service(**changes: Any) -> dict[str, Any]:
    env = {"VERSION": "{version}", "DIGEST": "{digest}", "ORDERS": "/tmp/orders"}  # noqa: S108
    return web(**({"command": COMMAND, "port": 8000, "env": env, "limits": {"cpu": 1.0, "memory": "256M"}} | changes))


@contextmanager
def dockered(host: str, *, network: str = "bridge", **changes: Any) -> Iterator[Dockered]:
    engine = {"kind": "docker", "host": host, "network": network}
    tables: dict[str, Any] = {
        "engine": engine,
        "releases": {"source": "releases", "image": IMAGE},
        "services": {"web": service()},
    }
    with made_site(**(tables | changes)) as plain:
        here = Dockered(plain.environment)
        try:
            yield here
        finally:
            label = f"deploy-gate.state={here.environment.state_folder}"
            for container in listed(here.docker, stopped=True, label=label):
                container.remove(force=True)
