"""Two servers, each with an engine and a network of its own, which tests/hosts/setup starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gate.containers.client import at, found
from tests.containers.conftest import docker_host
from tests.remote.conftest import remote
from tests.remote.server import CADDY, Server, server

__all__ = ["docker_host", "remote"]

PLACE = Path(os.environ.get("GATE_TEST_HOSTS", "/var/tmp/gate-test-hosts"))  # noqa: S108


def engine_of(number: int) -> Path:
    """The socket of a server's engine."""
    return PLACE / str(number) / "docker.sock"


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """A laptop without them skips, a CI without them fails."""
    if not engine_of(1).is_socket():
        missing = "no two servers for the tests: tests/hosts/setup starts them"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    request.getfixturevalue("remote")  # the image of the front door is made there
    original = at(request.getfixturevalue("docker_host")).images.get(CADDY)
    with ExitStack() as stack:
        made = []
        for number in (1, 2):
            images = at(f"unix://{engine_of(number)}").images
            if found(images.get, CADDY) is None:
                images.load(original.save(named=True))
            inside = ("nsenter", f"--net=/run/netns/ghosts{number}")
            made.append(stack.enter_context(server(engine_of(number), f"10.79.{number}.2", inside)))
        first, second = made
        # Both by one key, as one user: these are the settings of all servers of an environment.
        for name in ("key", "authorized_keys"):
            (second.place / name).write_bytes((first.place / name).read_bytes())
        (first.place / "known_hosts").write_text("".join((one.place / "known_hosts").read_text() for one in made))
        yield first, second
