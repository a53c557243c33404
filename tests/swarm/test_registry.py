"""What only a registry has, and what it does not have."""

from __future__ import annotations

import uuid

import pytest

from gate.containers.client import at, found
from gate.remote.door import Door
from tests.containers.dockered import dockered
from tests.remote.server import docker_of
from tests.swarm.conftest import REGISTRY, Swarmed, nothing_lost
from tests.swarm.nodes import NODES
from tests.team.users import ordering


def test_an_image_that_was_not_pushed_is_refused_and_taken_once_it_is(site: Swarmed) -> None:
    """Before anything is touched, so that its digest is not remembered as that of the version."""
    before = site.serving()
    site.build("1.4.0")
    for refused in (site.deploy("1.4.0", "--dry-run"), site.deploy("1.4.0")):
        assert (refused.code, refused.document["outcome"]) == (3, "REFUSED"), refused.told
        assert f"docker push {site.image}:1.4.0" in refused.reasons
        assert "readiness" in refused.told, "the checks say what they have to say all the same"
    assert site.serving() == before
    site.push("1.4.0")
    with ordering(site) as bill:
        ran = site.deploy("1.4.0")
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), f"{ran.reasons}\n{ran.told}"
    assert site.serving() == "1.4.0"
    nothing_lost(site, bill)


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
