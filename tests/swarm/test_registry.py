"""What only a registry has, and what it does not have."""

from __future__ import annotations

import uuid

import pytest

from gate import engines
from gate.containers.client import at, found
from gate.environments import load
from gate.errors import EngineError
from gate.releases import source
from gate.remote.door import Door
from tests.containers.dockered import dockered
from tests.remote.server import docker_of
from tests.swarm.conftest import REGISTRY, Swarmed
from tests.swarm.nodes import NODES


def test_an_image_that_was_not_pushed_is_refused_and_taken_once_it_is(site: Swarmed) -> None:
    site.build("1.4.0")
    environment = load("local", site.root)
    engine = engines.create(environment)
    with pytest.raises(EngineError, match="was never pushed") as refused:
        engine.start(source(environment).get("1.4.0"), "r40")
    assert refused.value.next_step == f"docker push {site.image}:1.4.0"
    site.push("1.4.0")
    pushed = source(environment).get("1.4.0")
    assert pushed.digest != pushed.image
    assert engine.start(pushed, "r40").digest == pushed.digest
    assert source(environment).get("1.4.0").digest == pushed.digest


@pytest.mark.usefixtures("swarm")
def test_the_image_of_a_front_door_is_pulled_by_the_digest_that_a_registry_knows_it_by() -> None:
    images, name = at(f"unix://{NODES[0].socket}").images, f"{REGISTRY}/door-{uuid.uuid4().hex[:6]}"
    images.get("gate-test-base:1").tag(name, "1")
    images.push(name, tag="1")
    (pinned,) = (one for one in images.get(f"{name}:1").attrs["RepoDigests"] if one.startswith(name))
    images.remove(f"{name}:1")
    assert found(images.get, pinned) is None
    with dockered(f"unix://{NODES[0].socket}") as here:
        door = Door(here.environment, docker_of(here).model_copy(update={"front_door": pinned}))
        try:
            door.create()
            made = door.found()
            assert made is not None
            assert made["Config"]["Image"] == pinned
        finally:
            here.docker.api.remove_container(door.name, force=True)
            here.docker.api.remove_volume(door.volume)
            images.remove(pinned)
