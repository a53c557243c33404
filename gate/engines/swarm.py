"""Releases as services of a Docker Swarm: the gate moves each service from one image to another, and judges.

The stack's file is the team's. Swarm rolls an update out task by task. Whether it worked its ``UpdateStatus`` tells,
and its tasks whether what it started runs; those on nodes that are gone do not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import semver

from gate import shell, tls
from gate.config import Environment, SwarmSettings
from gate.containers.client import asked, client, found
from gate.containers.images import tag_of, version_of
from gate.engines import usage
from gate.engines.base import Drained, Endpoint, Facts, Host, Instance, ServiceState, Stopped, Usage
from gate.engines.known import Known
from gate.engines.later import LaterLines
from gate.errors import EngineError
from gate.releases import Release

_LEADERLESS = 40.0  # seconds: while managers elect a leader, nothing can be asked or told
_FAILED = {"paused", "rollback_paused"}
_ENDED = {"completed", "rollback_completed", *_FAILED}
_SECOND = 1_000_000_000  # nanoseconds

Table = dict[str, Any]


class SwarmEngine:
    """The services of one environment; implements ``gate.engines.base.Engine``."""

    beside = False
    owns = False

    def __init__(self, environment: Environment, settings: SwarmSettings) -> None:
        self._environment = environment
        self._settings = settings
        self._known = Known(environment)
        self._machine = usage.Machine()

    def facts(self) -> Facts:
        """Whether the engine is a manager that can change services; how many nodes it has lost is told."""
        version, detail = "", ""
        try:
            version = str(self._ask("/version")["Version"])
            swarm = self._ask("/info")["Swarm"]
            if swarm.get("LocalNodeState") != "active" or not swarm.get("ControlAvailable"):
                detail = f"{self._settings.host} is no manager of a swarm"
            else:
                self._nodes()
        except EngineError as fault:
            detail = str(fault)
        return Facts("swarm", version, "swarm's own", version, supported=not detail, detail=detail)

    def host(self) -> Host:
        """The machine that runs the gate; the nodes it does not see."""
        return self._machine.read(self._environment.state_folder)

    def instances(self) -> list[Instance]:
        serving = self.stable()
        return [serving] if serving is not None else []

    def find(self, instance_id: str) -> Instance | None:
        return self._known.find(instance_id)

    def stable(self) -> Instance | None:
        """The release whose image the service of the front page is to run. None where there is no such service."""
        service = self._service(self._front())
        if service is None:
            return None
        name = _image(service)
        return self._known.named(_version(name), lambda one: one.digest == _digest(name), _digest(name))

    def start(self, release: Release, instance_id: str) -> Instance:
        """Writes an instance down; it is started when it is promoted. Raises EngineError for what no node could run."""
        if release.digest == release.image:
            raise EngineError(
                f"{release.version} was never pushed to a registry, so no other node can have it",
                next_step=f"docker push {self._environment.releases.image}:TAG",
            )
        for name in self._environment.services:
            self._required(name)
        return self._known.started(release, instance_id)

    def health(self, instance: Instance) -> list[ServiceState]:
        """How many tasks run the instance's image on nodes that are there, for each service."""
        nodes = self._nodes()
        return [self._state(instance, name, nodes) for name in self._environment.services]

    def endpoint(self, instance: Instance | None) -> Endpoint:  # noqa: ARG002 - whoever serves has the front door
        return Endpoint(self._environment.app.url, ca=tls.authority(self._environment))

    def promote(self, instance: Instance, share: float = 1.0) -> None:  # noqa: ARG002 - the file has no other steps
        """Moves every service to the instance's image. Raises EngineError unless Swarm completed it in time."""
        back = self._known.older(instance)
        for name in self._environment.services:
            self._move(name, instance, back=back)
        self._known.promoted(instance)

    def withdraw(self) -> None:
        raise EngineError("a swarm's service has an image always: what has the traffic keeps it")

    def drain(self, instance: Instance, timeout: float) -> Drained:  # noqa: ARG002 - Swarm drains each task it ends
        return Drained(complete=True, seconds=0.0, left=0)

    def stop(self, instance: Instance, grace: float | None = None) -> list[Stopped]:  # noqa: ARG002 - as above
        return []

    def resources(self, instance: Instance) -> list[Usage]:  # noqa: ARG002 - a manager does not see other nodes' tasks
        return []

    def logs(self, instance: Instance, last: int = 200) -> list[str]:
        since = int(instance.started_at.timestamp())
        return [f"{name}: {line}" for name in self._environment.services for line in self._lines(name, since)][-last:]

    def follow(self, instance: Instance) -> Callable[[], list[tuple[str, str]]]:  # noqa: ARG002 - a service has one log
        """Lines are counted, not placed: what several nodes wrote comes in no order."""
        since = int(time.time())
        logs = {name: LaterLines(partial(self._lines, name, since)) for name in self._environment.services}
        redact = self._environment.redactor
        return lambda: [(name, redact(line)) for name, lines in logs.items() for line in lines.new()]

    def rebuild(self, known: Mapping[str, Instance]) -> list[Instance]:
        return self._known.rebuild(known)

    def prune(self, keep: set[str]) -> list[str]:
        return self._known.prune({*keep, *(one.id for one in self.instances())})

    def settle(self) -> None:
        """Nothing: what runs it starts it again, or not."""

    def _move(self, name: str, instance: Instance, *, back: bool) -> None:
        """Gives a service another image and waits until Swarm has rolled it out."""
        digest = instance.digest
        wanted = f"{self._environment.releases.image}:{tag_of(instance.version)}@{digest}"
        service = self._required(name)
        if _digest(_image(service)) == digest and not _under_way(service):
            return
        before = _update(service).get("StartedAt")
        if _digest(_image(service)) != digest:
            self._order(name, wanted, back=back)
        seen: list[Table] = [service]

        def ended() -> bool:
            try:
                seen.append(self._required(name))
            except EngineError as fault:  # a leader is being elected: the update goes on without us
                seen.append({**seen[-1], "unknown": str(fault)})
                return False
            update = _update(seen[-1])
            return update.get("State") in _ENDED and (update.get("StartedAt") != before or _under_way(service))

        done = shell.wait_until(ended, timeout=self._settings.timeout, every=0.5)
        update = _update(seen[-1])
        if not done:
            why = seen[-1].get("unknown") or update.get("Message") or "it goes on"
            raise EngineError(f"{name}: not updated within {self._settings.timeout:g} s: {why}")
        if update["State"] in _FAILED or _digest(_image(seen[-1])) != digest:
            raise EngineError(f"{name}: {update['State']}: {update.get('Message', '')}{self._why(name, digest)}")
        if not shell.wait_until(lambda: not self._others(name, digest), timeout=self._settings.timeout, every=0.2):
            raise EngineError(f"{name}: {len(self._others(name, digest))} tasks of another image do not end")

    def _order(self, name: str, image: str, *, back: bool) -> None:
        """Tells Swarm to move a service, again and again while nobody leads. Raises EngineError."""
        faults: list[EngineError] = []

        def told() -> bool:
            try:
                service = self._required(name)
                if _digest(_image(service)) == _digest(image):
                    return True
                spec, previous = service["Spec"], service.get("PreviousSpec") or {}
                undo = back and bool(previous) and _digest(_image({"Spec": previous})) == _digest(image)
                if not undo:
                    spec["TaskTemplate"]["ContainerSpec"]["Image"] = image
                    spec["UpdateConfig"] = self._how()
                self._post(service, spec, {"rollback": "previous"} if undo else {})
            except EngineError as fault:
                faults.append(fault)
                return False
            return True

        if not shell.wait_until(told, timeout=_LEADERLESS, every=1.0):
            raise faults[-1]

    def _how(self) -> Table:
        """Swarm stops at the first task that fails; what then is to happen the gate decides."""
        return {
            "Parallelism": self._settings.parallelism,
            "Order": self._settings.order,
            "FailureAction": "pause",
            "Monitor": int(self._settings.monitor * _SECOND),
            "MaxFailureRatio": 0,
            "Delay": 0,
        }

    def _state(self, instance: Instance, name: str, nodes: Mapping[str, Table]) -> ServiceState:
        service = self._required(name)
        tasks = self._tasks(name)
        wanted = service["Spec"]["Mode"].get("Replicated", {}).get("Replicas")
        lost = [one for one in tasks if not _is_there(nodes, one)]
        there = [one for one in tasks if one not in lost]
        fitting = [one for one in there if _digest(one["Spec"]["ContainerSpec"]["Image"]) == instance.digest]
        running = [one for one in fitting if one["Status"]["State"] == "running"]
        least = wanted if wanted is not None else len(there)
        if least and len(running) >= least and not _under_way(service):
            return ServiceState(name, alive=True, healthy=True)
        detail = f"{len(running)} of {least} tasks run {instance.version}"
        detail += f", {len(lost)} are on nodes that are gone" if lost else ""
        return ServiceState(name, alive=True, healthy=False, detail=f"{detail}{self._why(name, instance.digest)}")

    def _why(self, name: str, digest: str) -> str:
        """What Swarm says of the tasks of an image that failed last."""
        failed = [
            one["Status"].get("Err") or one["Status"].get("Message", "")
            for one in self._tasks(name, desired="shutdown")
            if one["Status"]["State"] in {"failed", "rejected"}
            and _digest(one["Spec"]["ContainerSpec"]["Image"]) == digest
        ]
        return f" ({failed[0]})" if failed else ""

    def _others(self, name: str, digest: str) -> list[Table]:
        """Tasks of another image that still answer somebody: Swarm calls an update completed before they have ended."""
        nodes = self._nodes()
        return [
            one
            for one in self._tasks(name, desired="shutdown")
            if one["Status"]["State"] == "running"
            and _digest(one["Spec"]["ContainerSpec"]["Image"]) != digest
            and _is_there(nodes, one)
        ]

    def _tasks(self, name: str, desired: str = "running") -> list[Table]:
        filters = {"service": self._name(name), "desired-state": desired}
        with asked(f"the tasks of {self._name(name)}"):
            found_tasks = client(self._settings).api.tasks(filters=filters)
        return sorted(found_tasks, key=lambda one: str(one["Status"].get("Timestamp", "")), reverse=True)

    def _nodes(self) -> dict[str, Table]:
        with asked("the nodes of the swarm"):
            return {str(node["ID"]): node for node in client(self._settings).api.nodes()}

    def _lines(self, name: str, since: int) -> list[str]:
        with asked(f"the log of {self._name(name)}"):
            pieces = client(self._settings).api.service_logs(
                self._name(name), stdout=True, stderr=True, since=since, timestamps=True, is_tty=False
            )
            return b"".join(pieces).decode(errors="replace").splitlines()

    def _name(self, service: str) -> str:
        return f"{self._settings.stack}_{service}"

    def _front(self) -> str:
        return next(name for name, service in self._environment.services.items() if service.route == "/")

    def _service(self, name: str) -> Table | None:
        with asked(f"service {self._name(name)}"):
            return found(client(self._settings).api.inspect_service, self._name(name))

    def _required(self, name: str) -> Table:
        service = self._service(name)
        if service is None:
            raise EngineError(
                f"the swarm has no service {self._name(name)}",
                next_step=f"docker stack deploy --compose-file FILE {self._settings.stack}",
            )
        return service

    def _ask(self, path: str) -> Table:
        with asked(f"the Docker engine at {self._settings.host}"):
            api = client(self._settings).api
            answer: Table = api.version() if path == "/version" else api.info()
            return answer

    def _post(self, service: Table, spec: Table, how: Mapping[str, str]) -> None:
        """The SDK knows no rollback, and leaves out of an update what it does not know of a service."""
        api = client(self._settings).api
        parameters = {"version": service["Version"]["Index"], **how}
        with asked(f"service {service['Spec']['Name']}"):
            answer = api.post(
                f"{api.base_url}/v{api.api_version}/services/{service['ID']}/update",
                params=parameters,
                json=spec,
                timeout=api.timeout,
            )
        if not answer.ok:
            raise EngineError(f"service {service['Spec']['Name']}: {answer.text.strip()[:300]}")


def _image(service: Table) -> str:
    return str(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def _digest(image: str) -> str:
    return image.rpartition("@")[2] if "@" in image else ""


def _version(image: str) -> str:
    """The version that an image's tag tells; of one without, a version that is older than all."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    version = version_of(tag)
    return version if semver.Version.is_valid(version) else f"0.0.0+{_digest(image)[7:19] or 'unknown'}"


def _update(service: Table) -> Table:
    return service.get("UpdateStatus") or {}


def _under_way(service: Table) -> bool:
    return _update(service).get("State") in {"updating", "rollback_started"}


def _is_there(nodes: Mapping[str, Table], task: Table) -> bool:
    """Whether a task's node is not known to be gone; ``unknown`` it is for seconds while a leader is elected."""
    node = nodes.get(task.get("NodeID", ""))
    return node is not None and node["Status"]["State"] != "down"
