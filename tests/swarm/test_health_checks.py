"""Whether Swarm can tell that a task serves: by a health check of the service, or else of the image."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from gate.config import SwarmSettings
from gate.containers.client import at
from gate.containers.swarm import Manager, Table
from tests.containers.conftest import docker_host
from tests.engine.site import folder

__all__ = ["docker_host"]

BASE = "gate-test-base:1"


def manager(host: str) -> Manager:
    return Manager(SwarmSettings.model_validate({"kind": "swarm", "stack": "s", "host": host}))


def service(test: list[str] | None) -> Table:
    container = {"Healthcheck": {"Test": test}} if test is not None else {}
    return {"Spec": {"TaskTemplate": {"ContainerSpec": container}}}


@pytest.fixture
def checked(docker_host: str) -> Iterator[str]:
    """An image with a health check of its own."""
    images, name = at(docker_host).images, f"gate-test-{uuid.uuid4().hex[:8]}:1"
    with folder() as place:
        (place / "Dockerfile").write_text(f'FROM {BASE}\nHEALTHCHECK CMD ["true"]\n')
        images.build(path=str(place), rm=True, tag=name)
    yield name
    images.remove(name)


@pytest.mark.parametrize(("test", "told"), [(["CMD", "true"], True), (["NONE"], False)])
def test_what_the_stack_file_says_counts_before_the_image(
    checked: str, docker_host: str, test: list[str], told: bool
) -> None:
    assert manager(docker_host).checks_health(service(test), checked) is told


@pytest.mark.parametrize("says", [None, []])
def test_else_the_image_tells(checked: str, docker_host: str, says: list[str] | None) -> None:
    asked = manager(docker_host)
    assert asked.checks_health(service(says), checked)
    assert not asked.checks_health(service(says), BASE)
    assert not asked.checks_health(service(says), "gate-test-nothing:1")
