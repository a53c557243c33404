"""Brings a release's image to every server: from its registry, or else from the first server, which has it."""

from __future__ import annotations

from functools import partial

from gate.config import DockerSettings, Environment
from gate.containers.client import Client, asked, client, found, patient, within
from gate.containers.images import image_of, tag_of
from gate.errors import EngineError
from gate.releases import Release

_WITHIN = 1800.0  # seconds for one server


def spread(environment: Environment, docker: DockerSettings, release: Release) -> None:
    """Sees to it that all servers have the image that the first one has. Raises EngineError that names the server."""
    image = image_of(release)
    first, *others = docker.each
    for server in others:
        what, there = f"{release.version} on {server.named}", client(server)
        with asked(what):
            if found(there.images.get, image) is not None:
                continue
            if not _pulled(environment, there, release):
                within(_WITHIN, what, partial(_copied, first, server, image))
            if found(there.images.get, image) is None:
                raise EngineError(f"{what}: its image was brought there, and has another id than on {first.named}")


def _pulled(environment: Environment, there: Client, release: Release) -> bool:
    """Whether a server got the image from the registry; one that was never in any cannot be pulled."""
    if release.digest == release.image:
        return False
    repository = str(environment.releases.image)
    try:
        with asked(f"image {repository}@{release.digest}"):
            name = f"{repository}@{release.digest}"
            got = within(_WITHIN, f"pulling {name}", partial(there.images.pull, name))
            got.tag(repository, tag_of(release.version))
    except EngineError:
        return False
    return True


def _copied(first: DockerSettings, server: DockerSettings, image: str) -> bool:
    """Hands an image from one engine to another, piece by piece; both are silent for long where it is large."""
    with patient(first, _WITHIN) as here, patient(server, _WITHIN) as there:
        there.images.load(here.images.get(image).save(named=True))
    return True
