"""A server with a Docker engine, and the proxy's image on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.containers.client import at, found
from gate.stack.proxy import binary
from tests.containers.conftest import PLACE, docker_host
from tests.engine.site import folder
from tests.remote.server import CADDY, Server, server

__all__ = ["docker_host"]

_DOCKERFILE = """FROM gate-test-base:1
COPY caddy /usr/bin/caddy
RUN for name in chmod df dirname ln mkdir mv readlink rm sync; do ln -sf busybox /bin/$name; done
"""


@pytest.fixture(scope="session")
def remote(docker_host: str) -> Iterator[Server]:
    """A laptop without an OpenSSH server skips, a CI without one fails."""
    if not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        missing = "no OpenSSH server for the tests: apt-get install openssh-server"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    images = at(docker_host).images
    if found(images.get, CADDY) is None:
        with folder() as place:
            shutil.copy(binary(), place / "caddy")
            (place / "Dockerfile").write_text(_DOCKERFILE.replace("RUN for", 'RUN ["/bin/busybox", "true"]\nRUN for'))
            images.build(path=str(place), rm=True, tag=CADDY)
    with server(PLACE / "docker.sock") as made:
        yield made
