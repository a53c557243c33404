"""Releases as services of a Docker Swarm: the gate moves each service from one image to another, and judges.

The stack's file is the team's. Swarm rolls an update out task by task. Whether it worked its ``UpdateStatus`` tells,
and its tasks whether what it started runs; those on nodes that are gone do not count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from gate.config import Environment, SwarmSettings
from gate.containers import swarm
from gate.containers.images import familiar, tag_of
from gate.containers.rollout import Rollout, why_failed
from gate.containers.swarm import Manager, Table, digest_of, gone, image_of
from gate.engines import usage
from gate.engines.base import Drained, Endpoint, Facts, Host, Instance, ServiceState, Stopped, Usage
from gate.engines.known import UNKNOWN, Known
from gate.engines.later import Later, LaterLines
from gate.errors import EngineError
from gate.releases import Release
from gate.routing import tls
from gate.signals.lines import Lines


class SwarmEngine:
    """The services of one environment; implements ``gate.engines.base.Engine``."""

    beside = False
    owns = False

    def __init__(self, environment: Environment, settings: SwarmSettings) -> None:
        self._environment = environment
        self._settings = settings
        self._manager = Manager(settings)
        self._known = Known(environment)
        self._machine = usage.Machine()
        self._checked: dict[tuple[str, str], bool] = {}

    def facts(self) -> Facts:
        """Whether the engine is a manager that can change services."""
        version, detail = "", ""
        try:
            version = self._manager.version()
            if self._manager.leads():
                self._manager.nodes()
            else:
                detail = f"{self._settings.host} is no manager of a swarm"
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
        service = self._manager.lookup(self._front())
        if service is None:
            return None
        image = image_of(service)
        digest, version = digest_of(image), swarm.named(image)
        if digest:
            return self._known.named(version, lambda one: one.digest == digest, digest)
        # Which of the images that had this name runs nobody knows: it is none that the gate has proven.
        return self._known.named(version, lambda one: (one.version, one.digest) == (version, UNKNOWN), UNKNOWN)

    def obstacles(self, release: Release) -> list[str]:
        """A release that no other node can have, and services that nobody could lead back to what they run now."""
        image = str(self._environment.releases.image)
        found = []
        if not self._manager.pushed(image, release):
            found.append(
                f"{release.version} was never pushed to a registry, so no other node can have it: "
                f"docker push {image}:{tag_of(release.version)}"
            )
        running = {}
        for name in self._environment.services:
            service = self._manager.lookup(name)
            if service is None:
                stack = self._settings.stack
                found.append(
                    f"the swarm has no service {stack}_{name}: docker stack deploy --compose-file FILE {stack}"
                )
            else:
                running[name] = image_of(service)
        update = f"docker service update --image {{}} {self._settings.stack}_{{}}"
        for name, runs in running.items():
            if not digest_of(runs):
                found.append(
                    f"{name} runs {runs}, by no digest, so nobody could go back to just that: "
                    f"{update.format(runs, name)} where a manager reaches the registry, else name it "
                    f"{runs}@sha256:…, with --no-resolve-image"
                )
            elif swarm.repository_of(runs) != familiar(image):
                found.append(
                    f"{name} runs {runs}, which is not of [releases] image {image}, so nobody could go back to it: "
                    f"push it there, then {update.format(f'{image}:TAG', name)}"
                )
        front = self._front()
        main = digest_of(running.get(front, ""))
        others = [name for name, runs in running.items() if digest_of(runs) not in ("", main)]
        if others and main:
            told = ", ".join(f"{name} {swarm.named(runs)} {digest_of(runs)[:19]}" for name, runs in running.items())
            found.append(
                f"the services run different images ({told}), so there is no one release to go back to: "
                f"{' && '.join(update.format(running[front], name) for name in others)}"
            )
        return found

    def start(self, release: Release, instance_id: str) -> Instance:
        """Writes an instance down; it is started when it is promoted. Raises EngineError without its services."""
        for name in self._environment.services:
            self._manager.service(name)
        return self._known.started(release, instance_id)

    def health(self, instance: Instance) -> list[ServiceState]:
        """How many tasks run the instance's image on nodes that are there, for each service."""
        nodes = self._manager.nodes()
        return [self._state(instance, name, nodes) for name in self._environment.services]

    def endpoint(self, instance: Instance | None) -> Endpoint:  # noqa: ARG002 - whoever serves has the front door
        return Endpoint(self._environment.app.url, ca=tls.authority(self._environment))

    def promote(self, instance: Instance, share: float = 1.0) -> None:  # noqa: ARG002 - the file has no other steps
        """Moves every service to the instance's image. Raises EngineError unless Swarm completed it in time."""
        back = self._known.older(instance)
        for name in self._environment.services:
            image = f"{self._environment.releases.image}:{tag_of(instance.version)}@{instance.digest}"
            Rollout(self._manager, self._settings, name, image, back=back).run()
        self._known.promoted(instance)

    def withdraw(self) -> None:
        raise EngineError("a swarm's service has an image always: what has the traffic keeps it")

    def drain(self, instance: Instance, timeout: float) -> Drained:  # noqa: ARG002 - Swarm drains each task it ends
        return Drained(complete=True, seconds=0.0, left=None, measured=False)

    def stop(self, instance: Instance, grace: float | None = None) -> list[Stopped]:  # noqa: ARG002 - as above
        return []

    def resources(self, instance: Instance) -> list[Usage]:  # noqa: ARG002 - a manager does not see other nodes' tasks
        return []

    def logs(self, instance: Instance, last: int = 200) -> list[str]:
        since = int(instance.started_at.timestamp())
        return [f"{name}: {line}" for name in self._environment.services for line in self._manager.lines(name, since)][
            -last:
        ]

    def follow(self, instance: Instance) -> Lines:  # noqa: ARG002 - a service has one log
        """Lines are counted, not placed: what several nodes wrote comes in no order."""
        since = int(time.time())
        logs = {
            name: LaterLines(partial(self._manager.lines, name, since), all_new=True)
            for name in self._environment.services
        }
        return Later(logs, self._environment.redactor)

    def rebuild(self, known: Mapping[str, Instance]) -> list[Instance]:
        return self._known.rebuild(known)

    def prune(self, keep: set[str]) -> list[str]:
        return self._known.prune({*keep, *(one.id for one in self.instances())})

    def settle(self) -> None:
        """Nothing: what runs it starts it again, or not."""

    def _state(self, instance: Instance, name: str, nodes: Mapping[str, Table]) -> ServiceState:
        """Also of a healthy one what may still run on nodes that are gone, and whether Swarm can see its health."""
        service, tasks = self._manager.service(name), self._manager.tasks(name)
        wanted = service["Spec"]["Mode"].get("Replicated", {}).get("Replicas")
        serving = [one for one in tasks if one["DesiredState"] == "running"]
        there = [one for one in serving if not gone(nodes, one)]
        fitting = [one for one in there if digest_of(image_of(one)) == instance.digest]
        running = [one for one in fitting if one["Status"]["State"] == "running"]
        least = wanted if wanted is not None else len(there)
        off = wanted == 0 and name != self._front() and digest_of(image_of(service)) == instance.digest
        orphaned = swarm.orphaned(nodes, tasks)
        if (least or off) and len(running) >= least and not swarm.under_way(service):
            none = "is scaled to 0, so nothing of it runs" if off else ""
            remarks = (none, orphaned, "" if self._checks_health(service, instance, name) else swarm.UNCHECKED)
            return ServiceState(name, alive=True, healthy=True, detail="; ".join(filter(None, remarks)))
        why = why_failed(self._manager, name, instance.digest)
        detail = f"{len(running)} of {least} tasks run {instance.version}{why}"
        return ServiceState(name, alive=True, healthy=False, detail="; ".join(filter(None, (detail, orphaned))))

    def _checks_health(self, service: Table, instance: Instance, name: str) -> bool:
        key = (name, instance.digest)
        if key not in self._checked:
            self._checked[key] = self._manager.checks_health(service, image_of(service))
        return self._checked[key]

    def _front(self) -> str:
        return next(name for name, service in self._environment.services.items() if service.route == "/")
