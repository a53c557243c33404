"""A server with a Docker engine, and the proxy's image on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.conftest import PLACE, docker_host
from tests.remote.server import Server, server, with_a_proxy

__all__ = ["docker_host"]


@pytest.fixture(scope="session")
def remote(docker_host: str) -> Iterator[Server]:
    """A laptop without an OpenSSH server skips, a CI without one fails."""
    if not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        missing = "no OpenSSH server for the tests: apt-get install openssh-server"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with_a_proxy(PLACE / "docker.sock")
    with server(PLACE / "docker.sock") as made:
        yield made
