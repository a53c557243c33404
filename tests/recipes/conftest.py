"""An engine that can run a server with systemd, which tests/recipes/setup has made an image of."""

from __future__ import annotations

import os
import shutil

import pytest

from gate.containers.client import at, found
from tests.containers.conftest import docker_host
from tests.recipes.server import IMAGE

__all__ = ["docker_host"]


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> str:
    """Where the engine listens that has it. A laptop without one, or without an SSH client, skips, a CI fails."""
    host: str = request.getfixturevalue("docker_host")
    missing = ""
    if found(at(host).images.get, IMAGE) is None:
        missing = "no server with systemd for the tests: tests/recipes/setup makes its image"
    elif not (shutil.which("ssh") and shutil.which("ssh-keygen")):
        missing = "no SSH client for the tests: apt-get install openssh-client"
    if missing and os.environ.get("CI", "").lower() == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return host
