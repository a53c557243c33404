"""The image of the front door on a server: the environment file may name another one than the one that runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gate.containers.client import at
from gate.errors import StackError
from gate.remote.proxy import RemoteProxy
from tests.containers.dockered import Dockered
from tests.engine.site import folder
from tests.remote.server import CADDY, Server, deployed, docker_of

_OLD = f"gate-test-old-caddy-{os.getpid()}:1"
_TOO_OLD = '#!/bin/sh\n[ "$1" != version ] || exec echo v2.0.0\nexec /usr/bin/caddy "$@"\n'


@pytest.fixture(scope="module")
def here(remote: Server) -> Iterator[Dockered]:
    with deployed(remote) as made:
        yield made


@pytest.fixture(scope="module")
def old(remote: Server) -> Iterator[str]:
    """A Caddy that says it is too old for the gate."""
    images = at(f"unix://{remote.socket}").images
    with folder() as place:
        (place / "caddy").write_text(_TOO_OLD)
        (place / "caddy").chmod(0o755)
        (place / "Dockerfile").write_text(f"FROM {CADDY}\nCOPY caddy /usr/local/sbin/caddy\n")
        images.build(path=str(place), rm=True, tag=_OLD)
    yield _OLD
    images.remove(_OLD, force=True)


def test_another_image_in_the_file_is_told_with_what_takes_it(here: Dockered) -> None:
    same = RemoteProxy(here.environment, docker_of(here)).status()
    other = docker_of(here).model_copy(update={"front_door": "caddy:2.99"})
    told = RemoteProxy(here.environment, other).status()
    assert "it runs" not in same.detail
    name = here.environment.name
    assert f"it runs {CADDY}, and no caddy:2.99 until python deploy_gate.py {name} down && " in told.detail
    assert told.alive


def test_one_that_is_too_old_is_named_and_so_is_what_takes_the_next(remote: Server, old: str) -> None:
    with deployed(remote) as here:
        RemoteProxy(here.environment, docker_of(here)).down()
        first = docker_of(here).model_copy(update={"front_door": old})
        with pytest.raises(StackError) as unfit:
            RemoteProxy(here.environment, first).up()
        assert (old in str(unfit.value), unfit.value.next_step) == (True, "another image: [engine] front_door")
        with pytest.raises(StackError) as still:
            RemoteProxy(here.environment, docker_of(here)).up()
        assert old in str(still.value), "the one that runs, not the one that was written down since"
        assert "down && " in str(still.value.next_step)
        RemoteProxy(here.environment, docker_of(here)).down()
        assert RemoteProxy(here.environment, docker_of(here)).up()
