"""The Docker engine of an environment, asked through its SDK; every question ends in time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gate.errors import EngineError

_SECONDS = 60.0

Client = Any
"""``docker.DockerClient``: the SDK has no types."""


@functools.cache
def client(host: str) -> Client:
    """The engine that listens at a URL. Raises EngineError when nobody answers there."""
    try:
        import docker
    except ImportError:
        raise EngineError(
            "the docker SDK is not installed", next_step="pip install '.[docker]' in the gate's own folder"
        ) from None
    with asked(f"the Docker engine at {host}"):
        return docker.DockerClient(base_url=host, version="auto", timeout=_SECONDS)


@contextmanager
def asked(what: str) -> Iterator[None]:
    """Whatever goes wrong in the block becomes an EngineError about ``what``."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.APIError as fault:
        raise EngineError(f"{what}: {fault.explanation or fault}") from None
    except docker.errors.DockerException as fault:
        raise EngineError(f"{what}: {fault}", next_step="see that dockerd runs, and who may use it") from None
    except requests.RequestException as fault:
        raise EngineError(f"{what}: no answer ({type(fault).__name__})") from None


def found(get: Any, name: str) -> Any | None:
    """What ``get`` gives for a name; None where there is nothing of that name."""
    import docker.errors

    try:
        return get(name)
    except docker.errors.NotFound:
        return None
