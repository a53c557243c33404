"""The Docker engine of an environment, asked through its SDK; every question ends in time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from gate.config import ContainerSettings
from gate.errors import EngineError
from gate.machine import deadline, shell

_SECONDS = 60.0
_NOT_FOUND = 404
_SERVERS_OWN = 500  # from this HTTP status on it is not the question that is wrong

_NOTICED = 2.0  # seconds for the end of a lost connection to be noticed

Found = TypeVar("Found")
Client = Any
"""``docker.DockerClient``: the SDK has no types."""


class Silent(EngineError):  # noqa: N818 - read as "the engine is silent"
    """Nobody answers, or whoever does cannot tell now: a little later it may be otherwise."""


def client(docker: ContainerSettings) -> Client:
    """An environment's engine, on this machine or by SSH. Raises EngineError when it does not answer."""
    return at(url(docker))


def url(docker: ContainerSettings) -> str:
    """Where the engine is reached from this machine, connected. Raises EngineError."""
    if not docker.remote:
        return docker.host
    from gate.remote.ssh import connection

    return connection(docker).url


@contextmanager
def patient(docker: ContainerSettings, seconds: float) -> Iterator[Client]:
    """The same engine for a call that is silent for long, as while it unpacks an image. Raises EngineError."""
    made = _made(url(docker), seconds)
    try:
        yield made
    finally:
        made.close()


@functools.cache
def at(host: str) -> Client:
    """The engine that listens at a URL. Raises EngineError when nobody answers there."""
    return _made(host, _SECONDS)


def _made(host: str, seconds: float) -> Client:
    try:
        import docker
    except ImportError:
        raise EngineError(
            "the docker SDK is not installed", next_step="pip install '.[docker]' in the gate's own folder"
        ) from None
    with asked(f"the Docker engine at {host}"):
        made = docker.DockerClient(base_url=host, version="auto", timeout=seconds)
        made.api.trust_env = False  # a socket has no proxy
        return made


@contextmanager
def asked(what: str) -> Iterator[None]:
    """Whatever goes wrong in the block becomes an EngineError about ``what``; Silent where it may pass."""
    import docker.errors
    import requests
    import urllib3.exceptions

    try:
        yield
    except docker.errors.APIError as fault:
        kind = Silent if fault.status_code is None or fault.status_code >= _SERVERS_OWN else EngineError
        raise kind(f"{what}: {fault.explanation or fault}") from None
    except docker.errors.DockerException as fault:
        raise Silent(f"{what}: {fault}", next_step="see that dockerd runs, and who may use it") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as fault:
        raise Silent(f"{what}: no answer ({type(fault).__name__})") from None


def again(ask: Callable[[], Found]) -> Found:
    """What ``ask`` gives, for what changes nothing: where the connection was lost, the next one is asked again.

    Raises Silent once the end of a lost connection must have been noticed, and nobody answers.
    """
    told: list[Found] = []
    lost: list[Silent] = []

    def asks() -> bool:
        try:
            told.append(ask())
        except Silent as fault:
            lost.append(fault)
        return bool(told)

    if not shell.wait_until(asks, timeout=_NOTICED, every=0.2):
        raise lost[-1]
    return told[0]


def within(seconds: float, what: str, ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives. The SDK waits for ever where it reads a stream: after ``seconds`` nobody waits any more.

    Raises EngineError.
    """
    try:
        return deadline.within(seconds, what, ask)
    except deadline.TooLate as late:
        raise EngineError(str(late)) from None


def listed(engine: Client, *, stopped: bool = False, **filters: Any) -> list[Any]:
    """The containers that fit; one that comes or goes at this moment is left out.

    The engine lists a container a moment before it knows it by its id, and others' gates make and remove theirs.
    """
    made: list[Any] = engine.containers.list(all=stopped, ignore_removed=True, filters=filters)
    return made


def ended(end: Callable[[], object]) -> None:
    """Ends a container; one that has ended meanwhile, or is gone, is fine."""
    import docker.errors

    try:
        end()
    except docker.errors.APIError as fault:
        if fault.status_code not in {404, 409}:
            raise


def managed(change: Callable[[], object]) -> bool:
    """Whether the engine makes a change; False where it cannot at this moment, or there is nothing to change."""
    import docker.errors

    try:
        change()
    except docker.errors.APIError as fault:
        if fault.status_code == _NOT_FOUND or fault.status_code is None or fault.status_code >= _SERVERS_OWN:
            return False
        raise
    return True


def found(get: Any, name: str) -> Any | None:
    """What ``get`` gives for a name; None where there is nothing of that name."""
    import docker.errors

    try:
        return get(name)
    except docker.errors.NotFound:
        return None


def epoch(stamp: str) -> float:
    """Seconds since 1970 of a time stamp of the engine's."""
    return datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00").timestamp()
