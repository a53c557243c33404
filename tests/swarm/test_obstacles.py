"""What is refused before anything is touched: a release no other node can have, and services without a way back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gate import engines
from gate.config import SwarmSettings
from gate.containers.client import at
from gate.containers.swarm import Manager
from gate.engines.base import Engine, Instance
from gate.releases import Release
from tests.engine.site import read, table
from tests.swarm.conftest import REGISTRY, docker
from tests.swarm.nodes import NODES

Serving = Callable[..., Engine]


@pytest.fixture(scope="module")
def pushed(swarm: None) -> Iterator[tuple[Release, str]]:
    """A release, and the repository it was pushed to."""
    images, name = at(f"unix://{NODES[0].socket}").images, f"{REGISTRY}/o-{uuid.uuid4().hex[:6]}"
    images.get("gate-test-base:1").tag(name, "1.1.0")
    images.push(name, tag="1.1.0")
    image = images.get(f"{name}:1.1.0")
    (known,) = (one for one in image.attrs["RepoDigests"] if one.startswith(name))
    yield Release("1.1.0", known.partition("@")[2], None, Path("nowhere"), image=image.id), name
    images.remove(f"{name}:1.1.0")


@pytest.fixture
def release(pushed: tuple[Release, str]) -> Release:
    return pushed[0]


@pytest.fixture
def repository(pushed: tuple[Release, str]) -> str:
    return pushed[1]


@pytest.fixture
def stack() -> str:
    return f"o{uuid.uuid4().hex[:6]}"


@pytest.fixture
def serving(repository: str, stack: str, tmp_path: Path) -> Iterator[Serving]:
    """Services, by name what each is to run; nothing of them runs."""
    made: list[str] = []

    def create(options: tuple[str, ...] = ("--replicas", "0"), **images: str) -> Engine:
        for name, image in images.items():
            made.append(f"{stack}_{name}")
            there = ("--detach", "--no-resolve-image", "--constraint", "node.hostname==nowhere", "--name", made[-1])
            docker("service", "create", *there, *options, image)
        engine = {"kind": "swarm", "host": f"unix://{NODES[0].socket}", "stack": stack, "requests": "requests.log"}
        web = {"route": "/", "health": "/health", "identity": "/version#version"}
        services = {name: web if name == "web" else {} for name in images}
        own = table(engine=engine, releases={"source": "r", "image": repository}, services=services, traffic={})
        return engines.create(read(own, tmp_path))

    yield create
    docker("service", "rm", *made, check=False)


def by_digest(repository: str, version: str = "1.0.0", digit: str = "a") -> str:
    return f"{repository}:{version}@sha256:{64 * digit}"


def test_nothing_stands_in_the_way(serving: Serving, repository: str, release: Release) -> None:
    assert serving(web=by_digest(repository), worker=by_digest(repository)).obstacles(release) == []


def test_an_image_by_no_digest(serving: Serving, repository: str, release: Release) -> None:
    (told,) = serving(web=f"{repository}:1.0.0").obstacles(release)
    assert f"web runs {repository}:1.0.0, by no digest" in told
    assert f"docker service update --image {repository}:1.0.0 " in told


def test_a_service_that_is_not_there(serving: Serving, repository: str, stack: str, release: Release) -> None:
    engine = serving(web=by_digest(repository), worker=by_digest(repository))
    docker("service", "rm", f"{stack}_worker")
    assert engine.obstacles(release) == [
        f"the swarm has no service {stack}_worker: docker stack deploy --compose-file FILE {stack}"
    ]


def test_an_image_of_another_repository(serving: Serving, release: Release) -> None:
    (told,) = serving(web=by_digest(f"{REGISTRY}/another")).obstacles(release)
    assert "which is not of [releases] image" in told


def test_services_that_run_different_images(serving: Serving, repository: str, release: Release) -> None:
    (told,) = serving(web=by_digest(repository), worker=by_digest(repository, "0.9.0", "b")).obstacles(release)
    assert "different images (web 1.0.0 sha256:aaaaaaaaaaaa, worker 0.9.0 sha256:bbbbbbbbbbbb)" in told
    assert f"docker service update --image {by_digest(repository)} " in told


def test_one_that_runs_by_no_digest_is_told_once(serving: Serving, repository: str, release: Release) -> None:
    (told,) = serving(web=by_digest(repository), worker=f"{repository}:1.0.0").obstacles(release)
    assert "worker runs" in told


NEVER = f"sha256:{64 * 'c'}"


@pytest.mark.parametrize("here", [True, False])
def test_a_digest_that_no_registry_has(serving: Serving, repository: str, release: Release, here: bool) -> None:
    """The engine has its image, and was told of no digest for it; or it has none, and the registry is asked."""
    engine = serving(web=by_digest(repository))
    image = release.image if here else f"sha256:{64 * 'd'}"
    (told,) = engine.obstacles(Release("1.1.0", NEVER, None, Path("nowhere"), image=image))
    assert told == (
        f"1.1.0 was never pushed to a registry, so no other node can have it: docker push {repository}:1.1.0"
    )


def test_what_this_machine_cannot_ask_nodes_may_know(swarm: None) -> None:
    settings = SwarmSettings(kind="swarm", host=f"unix://{NODES[0].socket}", stack="none", requests="requests.log")
    elsewhere = Release("1.1.0", NEVER, None, Path("nowhere"), image=f"sha256:{64 * 'd'}")
    assert Manager(settings).pushed("127.0.0.1:1/nobody", elsewhere)


def test_a_service_that_is_scaled_to_nothing_is_what_it_should_be_and_the_front_page_is_not(
    serving: Serving, repository: str
) -> None:
    engine = serving(web=by_digest(repository), worker=by_digest(repository))
    stable = engine.stable()
    assert isinstance(stable, Instance)
    told = {one.service: (one.healthy, one.detail) for one in engine.health(stable)}
    assert told["worker"][0]
    assert "scaled to 0" in told["worker"][1]
    assert not told["web"][0]


def test_what_serves_by_no_digest_is_the_same_whenever_it_is_asked_and_nothing_that_was_proven(
    serving: Serving, repository: str, release: Release
) -> None:
    engine = serving(web=f"{repository}:1.1.0")
    proven = engine.start(release, "r5")
    found = engine.stable()
    assert found is not None
    assert (found.version, found.digest) == ("1.1.0", "unknown")
    assert found != proven
    assert engine.stable() == found


def test_a_global_service_without_a_node_is_not_what_it_should_be(serving: Serving, repository: str) -> None:
    engine = serving(web=by_digest(repository), worker=by_digest(repository), options=("--mode", "global"))
    stable = engine.stable()
    assert stable is not None
    assert [one.healthy for one in engine.health(stable)] == [False, False]
