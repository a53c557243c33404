"""What is refused before anything is touched: a release no other node can have, and services without a way back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gate import engines
from gate.containers.client import at
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
def serving(repository: str, tmp_path: Path) -> Iterator[Serving]:
    """Services, by name what each is to run; nothing of them runs."""
    stack, made = f"o{uuid.uuid4().hex[:6]}", list[str]()

    def create(**images: str) -> Engine:
        for name, image in images.items():
            made.append(f"{stack}_{name}")
            options = ("--detach", "--replicas", "0", "--no-resolve-image", "--name", made[-1])
            docker("service", "create", *options, image)
        engine = {"kind": "swarm", "host": f"unix://{NODES[0].socket}", "stack": stack, "requests": "requests.log"}
        web = {"route": "/", "health": "/health", "identity": "/version#version"}
        services = {name: web if name == "web" else {} for name in images}
        own = table(engine=engine, releases={"source": "r", "image": repository}, services=services, traffic={})
        return engines.create(read(own, tmp_path))

    yield create
    docker("service", "rm", *made)


def by_digest(repository: str, version: str = "1.0.0", digit: str = "a") -> str:
    return f"{repository}:{version}@sha256:{64 * digit}"


def test_nothing_stands_in_the_way(serving: Serving, repository: str, release: Release) -> None:
    assert serving(web=by_digest(repository), worker=by_digest(repository)).obstacles(release) == []


def test_an_image_by_no_digest(serving: Serving, repository: str, release: Release) -> None:
    (told,) = serving(web=f"{repository}:1.0.0").obstacles(release)
    assert f"web runs {repository}:1.0.0, by no digest" in told
    assert f"docker service update --image {repository}:1.0.0 " in told


def test_an_image_of_another_repository(serving: Serving, release: Release) -> None:
    (told,) = serving(web=by_digest(f"{REGISTRY}/another")).obstacles(release)
    assert "which is not of [releases] image" in told


def test_services_that_run_different_images(serving: Serving, repository: str, release: Release) -> None:
    (told,) = serving(web=by_digest(repository), worker=by_digest(repository, "0.9.0", "b")).obstacles(release)
    assert "different images (web 1.0.0, worker 0.9.0)" in told


def test_a_digest_that_no_registry_has(serving: Serving, repository: str, release: Release) -> None:
    engine = serving(web=by_digest(repository))
    never = Release("1.1.0", f"sha256:{64 * 'c'}", None, Path("nowhere"), image=release.image)
    (told,) = engine.obstacles(never)
    assert told == (
        f"1.1.0 was never pushed to a registry, so no other node can have it: docker push {repository}:1.1.0"
    )


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


def test_what_serves_by_no_digest_stays_the_same_instance(serving: Serving, repository: str) -> None:
    engine = serving(web=f"{repository}:1.0.0")
    first = engine.stable()
    assert first is not None
    assert engine.stable() == first
