"""Whether releases live on a schema: started on a private copy that has it, they pass their critical smoke tests."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gate import engines
from gate.config import CommandSettings, DockerSettings, Environment, SwarmSettings
from gate.database.cluster import reserved
from gate.errors import OperationFailed
from gate.judging import verdict
from gate.judging.limits import Rule
from gate.redact import Secret
from gate.rehearsal.place import CannotRehearse, Place
from gate.releases import Release
from gate.results import Decision, Severity, SuiteResult
from gate.rollback import mending
from gate.stack import Stack
from gate.suites import suite
from gate.suites.context import CANDIDATE, Context

_UNMEASURED = ("coverage", "checker_errors")
"""Signals of a suite that did not measure all it should have."""


@dataclass(frozen=True)
class Lived:
    """How a release did on the copy: so many of its critical smoke tests passed, and what failed, one line each.

    ``start_seconds``: from its start until it was healthy; ``seconds``: all of it.
    """

    version: str
    passed: int
    failures: tuple[str, ...]
    seconds: float
    start_seconds: float = 0.0


def rehearse(environment: Environment, database: Secret, releases: Sequence[Release]) -> list[Lived]:
    """Starts one release after another on ``database``, a private copy, and runs its critical smoke tests there.

    Raises CannotRehearse where an application cannot be kept away from the live servers, OperationFailed where the
    private proxy or cache does not start. A release that does not start or get healthy has failed.
    """
    with _here(environment, database) as (here, file):
        stack = Stack(here)
        try:
            stack.up(lambda _: None)
            return [_lived(here, file, release, f"r{number}") for number, release in enumerate(releases, start=1)]
        finally:
            stack.down(lambda _: None)


def _lived(here: Environment, file: Path, release: Release, name: str) -> Lived:
    began, healthy = time.monotonic(), 0.0
    engine = engines.create(here)
    instance = None
    try:
        instance = engine.start(release, name)
        mending.require_healthy(here, engine, instance)
        healthy = time.monotonic() - began
        context = Context(
            here.name, CANDIDATE, release=release, instance=name, only=(Severity.CRITICAL,), place=str(file)
        )
        result = suite.run(here, context, here.smoke.folders, file.parent / f"smoke-{name}")
        passed, failures = _judged(result, here.all_rules)
    except OperationFailed as fault:
        told = engine.logs(instance, 3) if instance is not None else []
        passed, failures = 0, ("; ".join([str(fault), *told]),)
    finally:
        if instance is not None:
            engine.stop(instance, grace=5)
            engine.prune(set())
    return Lived(release.version, passed, failures, time.monotonic() - began, healthy)


def _judged(result: SuiteResult, rules: Sequence[Rule]) -> tuple[int, tuple[str, ...]]:
    """How many passed, and what speaks against the release: what failed, and what was not measured.

    A figure between two limits does not: the copy's server is not the live one.
    """
    found = [item for item in verdict.after(result, rules).reasons if item.decision is not Decision.GO]
    against = [item.text for item in found if item.decision is Decision.ROLLBACK or item.signal in _UNMEASURED]
    return verdict.measured(result), tuple(against)


@contextlib.contextmanager
def _here(environment: Environment, database: Secret) -> Iterator[tuple[Environment, Path]]:
    """The environment of the rehearsal and the file that tells a child of it; all of it is gone afterwards."""
    if isinstance(environment.engine, CommandSettings | SwarmSettings):
        raise CannotRehearse(
            "how a release is started the gate does not know here",
            next_step="go without: [database] rehearsal = false",
        )
    docker = environment.engine if isinstance(environment.engine, DockerSettings) else None
    if docker is not None and docker.remote:
        raise CannotRehearse(
            f"the private copy is on this machine, which containers on {docker.host} do not reach",
            next_step="go without: [database] rehearsal = false",
        )
    if docker is not None and docker.network != "host" and environment.cache is not None:
        raise CannotRehearse(
            f"the private cache is on this machine's loopback, which containers on {docker.network} do not reach",
            next_step='network = "host", or go without: [database] rehearsal = false',
        )
    with reserved(environment.state_folder / "scratch") as spare:
        folder = spare.folder.parent
        front, cache_port = _free_ports()
        cache = None
        if environment.cache is not None:
            name = urlsplit(environment.cache.url.reveal()).path
            cache = f"redis://:{secrets.token_urlsafe(24)}@127.0.0.1:{cache_port}{name}"
        place = Place(
            folder=str(folder),
            front=front,
            database=database.reveal(),
            cache=cache,
            cache_port=cache_port if cache is not None else None,
        )
        here = place.of(environment)
        file = folder / "place.json"
        place.write(file)
        _tell_backup(here)
        yield here, file


def _tell_backup(here: Environment) -> None:
    """The copy was dumped and restored just now: that is the last backup as far as the rehearsal is concerned."""
    now = datetime.now(UTC).isoformat()
    told = {"id": "rehearsal", "taken_at": now, "finished_at": now, "bytes": 1, "verified": True}
    file = here.state_folder / "backups" / "latest.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({**told, "tables": 0, "rows": 0, "schema_head": None}), encoding="utf-8")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
