"""A real Docker engine for the tests: the one that tests/containers/setup starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PLACE = Path(os.environ.get("GATE_TEST_ENGINE", "/var/tmp/gate-test-engine"))  # noqa: S108


@pytest.fixture(scope="session")
def docker_host() -> str:
    """Where it listens. A laptop without one skips, a CI without one fails."""
    socket = PLACE / "docker.sock"
    if not socket.is_socket():
        missing = "no Docker engine for the tests: tests/containers/setup starts one"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return f"unix://{socket}"
