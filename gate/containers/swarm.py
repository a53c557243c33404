"""A Docker Swarm, as one of its managers tells it: services, their tasks, the nodes these run on.

While managers elect a leader nobody can be asked or told anything, for ten seconds or so. Whoever has had an answer
waits for the next one that long; whoever begins then is told at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import semver

from gate.config import SwarmSettings
from gate.containers.client import Client, Silent, asked, client, found, within
from gate.containers.images import checks_health, familiar, version_of
from gate.errors import EngineError
from gate.machine import shell
from gate.redact import cut
from gate.releases import Release

LEADERLESS = 40.0
"""Seconds that an answer, or that an order is taken, is waited for."""
_ASKED = 20.0  # seconds for a registry
_READING = 20.0  # seconds for a log: whoever collects it waits for nodes that do not answer
UNCHECKED = (
    "neither its image nor the stack file has a health check, so Swarm takes a task for one that serves as soon as its "
    "process runs"
)
FAILED = {"paused", "rollback_paused"}
_DOCKERS_OWN = 3  # whose piece of a log it is: not standard output (1), not standard error (2)
OVER = {"complete", "shutdown", "failed", "rejected", "remove", "orphaned"}
"""States of a task that does not run any more."""
ENDED = {"completed", "rollback_completed", *FAILED}

Table = dict[str, Any]
T = TypeVar("T")


class Manager:
    """The manager that an environment names. Everything it is asked raises EngineError; Silent where it may pass."""

    def __init__(self, settings: SwarmSettings, *, patience: float = LEADERLESS) -> None:
        self._settings = settings
        self._patience = patience
        self._silent_since: float | None = None
        self._answered = False

    def version(self) -> str:
        return str(self._ask(f"the Docker engine at {self._settings.host}", lambda api: api.version())["Version"])

    def leads(self) -> bool:
        """Whether it is one of the managers of a swarm."""
        swarm: Table = self._ask(f"the Docker engine at {self._settings.host}", lambda api: api.info())["Swarm"]
        return swarm.get("LocalNodeState") == "active" and bool(swarm.get("ControlAvailable"))

    def nodes(self, *, patient: bool = True) -> dict[str, Table]:
        """The nodes by id."""
        listed: list[Table] = self._ask("the nodes of the swarm", lambda api: api.nodes(), patient=patient)
        return {str(node["ID"]): node for node in listed}

    def service(self, name: str, *, patient: bool = True) -> Table:
        """A service. Raises EngineError where there is none."""
        service = self.lookup(name, patient=patient)
        if service is None:
            raise EngineError(
                f"the swarm has no service {self._name(name)}",
                next_step=f"docker stack deploy --compose-file FILE {self._settings.stack}",
            )
        return service

    def lookup(self, name: str, *, patient: bool = True) -> Table | None:
        """A service; None where there is none."""
        full = self._name(name)
        told: Table | None = self._ask(f"service {full}", lambda api: found(api.inspect_service, full), patient=patient)
        return told

    def tasks(self, name: str, *, patient: bool = True) -> list[Table]:
        """All tasks that are remembered of a service, the youngest word first."""
        full = self._name(name)
        listed: list[Table] = self._ask(
            f"the tasks of {full}", lambda api: api.tasks(filters={"service": full}), patient=patient
        )
        return sorted(listed, key=lambda one: str(one["Status"].get("Timestamp", "")), reverse=True)

    def lines(self, name: str, since: int) -> list[str]:
        """What the tasks of a service wrote, since some second; each line begins with its time, the oldest comes first.

        They are asked one by one: asked for the service as a whole, Docker 20.10 falls silent half-way where several
        tasks of one node have much to tell, and never ends.
        """
        what = f"the log of {self._name(name)}"

        def read() -> list[str]:
            found = []
            nodes = self.nodes()
            for task in self.tasks(name, patient=False):
                # What one on a lost node writes nobody can read; that it may still answer users is told (``orphaned``).
                if may_have_written(task, since) and not gone(nodes, task):
                    found += self._ask(what, partial(_written_by, str(task["ID"]), since, what), patient=False)
            return sorted(found)

        told: list[str] = within(_READING, what, read)
        return told

    def checks_health(self, service: Table, image: str) -> bool:
        """Whether Swarm can tell that a task serves: by a health check of the service, or else of the image.

        Without one a task counts from the moment its process runs. An image that this engine does not have has none.
        """
        own = (service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Healthcheck") or {}).get("Test")
        if own:
            return bool(own[0] != "NONE")
        with asked(f"image {image}"):
            known = found(client(self._settings).images.get, image)
        return known is not None and checks_health(known)

    def order(self, service: Table, spec: Table, how: Mapping[str, str]) -> None:
        """Gives a service another specification, or the one it had. Raises EngineError.

        The SDK knows no rollback, and leaves out of an update what it does not know of a service.
        """
        api = client(self._settings).api
        what = f"service {service['Spec']['Name']}"
        with asked(what):
            answer = api.post(
                f"{api.base_url}/v{api.api_version}/services/{service['ID']}/update",
                params={"version": service["Version"]["Index"], **how},
                json=spec,
                timeout=api.timeout,
            )
        if answer.ok:
            return
        said = f"{what}: {cut.head(answer.text.strip(), 300)}"
        if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:  # what it does not understand now it never will
            raise EngineError(said)
        raise Silent(said)

    def pushed(self, image: str, release: Release) -> bool:
        """Whether a registry has a release, as far as can be told. Raises EngineError.

        An engine that calls images by ids of its own knows a digest from a registry alone. Else the registry is asked;
        where it does not answer, or lets nobody in, nodes may have a way to it that this machine has not.
        """
        own = client(self._settings)
        with asked(f"image {release.image}"):
            known = found(own.images.get, str(release.image))
        if known is not None:
            names = known.attrs.get("RepoDigests") or []
            if not any(name.endswith(f"@{release.digest}") for name in names):
                return False
            if known.id != release.digest:
                return True
        name = f"{image}@{release.digest}"
        try:
            with asked(f"the registry of {image}"):
                return within(_ASKED, name, lambda: found(own.api.inspect_distribution, name)) is not None
        except (EngineError, ValueError, LookupError):  # the SDK reads what a helper for credentials says
            return True

    def _name(self, service: str) -> str:
        return f"{self._settings.stack}_{service}"

    def _ask(self, what: str, question: Callable[[Client], T], *, patient: bool = True) -> T:
        """What it answers; while it cannot, it is asked again for as long as is left of one patience."""
        answers: list[T] = []
        faults: list[Silent] = []
        began = time.monotonic()

        def answered() -> bool:
            try:
                with asked(what):
                    answers.append(question(client(self._settings).api))
            except Silent as fault:
                faults.append(fault)
                self._silent_since = self._silent_since or began
                return False
            self._silent_since, self._answered = None, True
            return True

        # What nobody answered lately nobody waits for again: the rest of what is to be done has its turn.
        spent = began - self._silent_since if self._silent_since is not None else 0.0
        left = max(0.0, self._patience - spent) if patient and self._answered else 0.0
        if not (shell.wait_until(answered, timeout=left, every=1.0) if left else answered()):
            raise faults[-1]
        return answers[0]


def image_of(service: Table) -> str:
    """The image that a service, or a task, is to run."""
    return str((service["Spec"].get("TaskTemplate") or service["Spec"])["ContainerSpec"]["Image"])


def digest_of(image: str) -> str:
    return image.rpartition("@")[2] if "@" in image else ""


def repository_of(image: str) -> str:
    """The repository of an image's name."""
    name = image.partition("@")[0]
    return familiar(name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name)


def named(image: str) -> str:
    """The version that an image's tag tells; of one without, a version that is older than all."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    version = version_of(tag)
    return version if semver.Version.is_valid(version) else f"0.0.0+{digest_of(image)[7:19] or 'unknown'}"


def may_have_written(task: Table, since: float) -> bool:
    """Whether a task may have written anything since some second: it has begun, and had not ended before that."""
    status = task["Status"]
    if not (status.get("ContainerStatus") or {}).get("ContainerID"):
        return False
    ended = datetime.fromisoformat(f"{status['Timestamp'][:19]}+00:00").timestamp()
    return status["State"] not in OVER or ended + 1 >= since


def _written_by(task: str, since: int, what: str, api: Client) -> list[str]:
    """The lines of one task, which the SDK does not know how to ask for; none of one that is forgotten meanwhile."""
    answer = api.get(
        f"{api.base_url}/v{api.api_version}/tasks/{task}/logs",
        params={"stdout": "1", "stderr": "1", "timestamps": "1", "since": str(since)},
        timeout=_READING,
    )
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return []
    if not answer.ok:
        raise Silent(f"{what}: {cut.head(answer.text.strip(), 300)}")
    told, whole = unframed(answer.content)
    if not whole:  # it began well, so its status is 200
        raise Silent(f"{what}: it cannot be read to its end")
    return told.decode(errors="replace").splitlines()


def unframed(told: bytes) -> tuple[bytes, bool]:
    """What a log's stream carries, and whether that is all of it.

    Before each piece stand eight bytes: the first says whose it is, the last four are its length. What Docker itself
    says there, that it cannot read on, is no line of the application's.
    """
    pieces: list[bytes] = []
    at = 0
    while at + 8 <= len(told):
        size = int.from_bytes(told[at + 4 : at + 8], "big")
        if told[at] == _DOCKERS_OWN:
            return b"".join(pieces), False
        pieces.append(told[at + 8 : at + 8 + size])
        at += 8 + size
    return b"".join(pieces), at == len(told)


def update_of(service: Table) -> Table:
    """How its update goes, or went; empty before the first."""
    return service.get("UpdateStatus") or {}


def under_way(service: Table) -> bool:
    return update_of(service).get("State") in {"updating", "rollback_started"}


def gone(nodes: Mapping[str, Table], task: Table) -> bool:
    """Whether a task's node is known to be gone; ``unknown`` it is for seconds while a leader is elected."""
    name = task.get("NodeID", "")
    return bool(name) and (name not in nodes or nodes[name]["Status"]["State"] == "down")


def hosts(nodes: Mapping[str, Table], tasks: Collection[Table]) -> str:
    """Names of the nodes of some tasks."""
    ids = {one["NodeID"] for one in tasks}
    return ", ".join(sorted(nodes[name]["Description"]["Hostname"] if name in nodes else name for name in ids))


def orphaned(nodes: Mapping[str, Table], tasks: Collection[Table]) -> str:
    """What may go on running where nobody can end it, in words: Swarm has given these tasks up; empty for none."""
    orphans = [one for one in tasks if one["Status"]["State"] == "running" and gone(nodes, one)]
    if not orphans:
        return ""
    versions = ", ".join(sorted({named(image_of(one)) for one in orphans}))
    count = f"{len(orphans)} task{'' if len(orphans) == 1 else 's'}"
    return f"{count} of {versions} may still answer users on {hosts(nodes, orphans)}, which is gone; not counted"
