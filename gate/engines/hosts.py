"""The same release on several servers, each with a front door and an engine of its own, driven as one.

Who serves is asked of those who answer. Whatever proves a release, or moves users forward, needs all of them: a switch
that one of them refuses is taken back on the others. The way back goes as far as it can, and says where it could not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from gate.config import Environment
from gate.engines import probing
from gate.engines.base import Drained, Endpoint, Facts, Host, Instance, ServiceState, Split, Stopped, Usage
from gate.engines.one_host import Ask, OneHost, Proof
from gate.engines.together import Answers, Followed, asked, fault_of
from gate.errors import EngineError, OperationFailed
from gate.releases import Release
from gate.signals.lines import Lines

_ANSWERS_WITHIN = 5.0  # seconds

Found = TypeVar("Found")


class HostsEngine:
    """The servers of one environment, by name; implements ``gate.engines.base.Engine``.

    ``bring`` sees to it that every server has a release's image. ``patience``: seconds until whoever has the traffic
    must answer at a front door.
    """

    beside = True
    owns = True

    def __init__(
        self,
        environment: Environment,
        hosts: Mapping[str, OneHost],
        *,
        bring: Callable[[Release], None],
        ask: Ask = probing.field_at,
        patience: float = _ANSWERS_WITHIN,
    ) -> None:
        self._environment = environment
        self._hosts = dict(hosts)
        self._bring = bring
        self._proof = Proof(environment, ask, patience)

    def facts(self) -> Facts:
        """Fit when every server is, and all send their users to the same release."""
        told = self._everywhere(lambda host: host.facts()).all()
        unfit = [f"{name}: {one.detail}" for name, one in told.items() if not one.supported]
        if not unfit:
            try:
                self._agreed(self._everywhere(lambda host: host.stable()).all())
            except OperationFailed as fault:
                unfit = [str(fault)]
        first = next(iter(told.values()))
        return replace(
            first,
            engine_version=", ".join(f"{one.engine_version or 'unknown'} on {name}" for name, one in told.items()),
            proxy_version=", ".join(f"{one.proxy_version or 'unknown'} on {name}" for name, one in told.items()),
            supported=not unfit,
            detail="; ".join(unfit),
        )

    def host(self) -> Host:
        told = list(self._everywhere(lambda host: host.host()).all().values())
        return Host(
            cpu=max(one.cpu for one in told),
            own=max(one.own for one in told),
            memory=max(one.memory for one in told),
            disk=max(one.disk for one in told),
            disk_free=min(one.disk_free for one in told),
            cores=min(one.cores for one in told),
        )

    def instances(self) -> list[Instance]:
        """What runs on any of those that answer."""
        found: dict[str, Instance] = {}
        for instances in self._everywhere(lambda host: host.instances()).some().values():
            for instance in instances:
                found.setdefault(instance.id, instance)
        return sorted(found.values(), key=lambda one: (one.started_at, one.id))

    def find(self, instance_id: str) -> Instance | None:
        """As those know it that answer. Raises EngineError where it is not the same release on each of them."""
        answers = self._everywhere(lambda host: host.find(instance_id)).some()
        found = {name: one for name, one in answers.items() if one is not None}
        if len({one.digest for one in found.values()}) > 1:
            told = ", ".join(f"{one.version} ({one.digest}) on {name}" for name, one in found.items())
            raise EngineError(f"{instance_id} is not the same everywhere: {told}")
        return next(iter(found.values()), None)

    def stable(self) -> Instance | None:
        return self._agreed(self._serving())

    def _agreed(self, serving: Mapping[str, Instance | None]) -> Instance | None:
        """What all of them serve. Raises Split."""
        if len({one.id if one else None for one in serving.values()}) > 1:
            told = ", ".join(
                f"{one.version} ({one.id}) on {name}" if one else f"nothing on {name}" for name, one in serving.items()
            )
            raise Split(
                f"users do not reach the same release everywhere: {told}",
                next_step=f"python deploy_gate.py {self._environment.name} up   gives all of them what was kept last",
            )
        return next(iter(serving.values()))

    def obstacles(self, release: Release) -> list[str]:
        told = self._everywhere(lambda host: host.obstacles(release)).all()
        return [f"{text} (on {name})" for name, found in told.items() for text in found]

    def start(self, release: Release, instance_id: str) -> Instance:
        self._bring(release)
        return next(iter(self._everywhere(lambda host: host.start(release, instance_id)).all().values()))

    def health(self, instance: Instance) -> list[ServiceState]:
        """Each service on each server. It is healthy where the right release answers, too. Raises EngineError for a
        server that does not answer: nobody can tell how it is there."""
        answers = self._everywhere(lambda host: self._proof.states(host, instance)).all()
        return [replace(state, place=name) for name, states in answers.items() for state in states]

    def endpoint(self, instance: Instance | None) -> Endpoint:
        """An instance is reached on the first server: that it is the same on the others ``health`` asks."""
        return next(iter(self._hosts.values())).endpoint(instance)

    def promote(self, instance: Instance, share: float = 1.0) -> None:
        """Points a share of every server's traffic at an instance, and sees that it is so on each.

        Forward it is all or nothing: where one server refuses, the others are given back what they had. Back, to an
        instance that another was started after, it goes as far as it can. Raises EngineError with the names of those
        that could not.
        """
        if share <= 0:
            self._everywhere(lambda host: host.promote(instance, 0)).all()
            return
        if self._older(instance):
            self._everywhere(lambda host: self._proof.give(host, instance, share)).all()
            return
        ailing = [
            f"{state.name} {state.detail or 'is not healthy'}" for state in self.health(instance) if not state.healthy
        ]
        if ailing:
            raise EngineError(f"{instance.id} ({instance.version}) gets no traffic: {'; '.join(ailing)}")
        before = self._everywhere(lambda host: host.stable()).all()
        answers = self._everywhere(lambda host: self._proof.give(host, instance, share))
        if answers.faults:
            raise self._taken_back(instance, share, before, answers.faults)

    def withdraw(self) -> None:
        self._everywhere(lambda host: host.withdraw()).all()

    def drain(self, instance: Instance, timeout: float) -> Drained:
        ended = list(self._everywhere(lambda host: host.drain(instance, timeout)).all().values())
        left = [one.left for one in ended if one.left is not None]
        return Drained(
            complete=all(one.complete for one in ended),
            seconds=max(one.seconds for one in ended),
            left=sum(left) if len(left) == len(ended) else None,
        )

    def stop(self, instance: Instance, grace: float | None = None) -> list[Stopped]:
        """Refuses where users go to it though elsewhere they do not: a server may have come back meanwhile."""
        others = any(one is None or one.id != instance.id for one in self._serving().values())

        def stop(host: OneHost) -> list[Stopped]:
            serving = host.stable() if others else None
            if serving is not None and serving.id == instance.id:
                raise EngineError(f"{instance.id} still gets the traffic, so it is not stopped")
            return host.stop(instance, grace) if host.find(instance.id) is not None else []

        answers = self._everywhere(stop).all()
        return [replace(one, place=name) for name, ended in answers.items() for one in ended]

    def resources(self, instance: Instance) -> list[Usage]:
        answers = self._everywhere(lambda host: host.resources(instance)).all()
        return [replace(one, place=name) for name, used in answers.items() for one in used]

    def logs(self, instance: Instance, last: int = 200) -> list[str]:
        answers = self._everywhere(lambda host: host.logs(instance, last)).all()
        told = []
        for name, lines in answers.items():
            for line in lines:
                service, _, text = line.partition(": ")
                told.append(f"{service} on {name}: {text}")
        return told

    def follow(self, instance: Instance) -> Lines:
        return Followed(self._everywhere(lambda host: host.follow(instance)).all())

    def rebuild(self, known: Mapping[str, Instance]) -> list[Instance]:
        found = self._everywhere(lambda host: host.rebuild(known)).all()
        return list({one.id: one for instances in found.values() for one in instances}.values())

    def prune(self, keep: set[str]) -> list[str]:
        gone = self._everywhere(lambda host: host.prune(keep)).all()
        return sorted({name for names in gone.values() for name in names})

    def settle(self) -> None:
        self._everywhere(lambda host: host.settle()).all()

    def _serving(self) -> Mapping[str, Instance | None]:
        return self._everywhere(lambda host: host.stable()).some()

    def _taken_back(
        self,
        instance: Instance,
        share: float,
        before: Mapping[str, Instance | None],
        faults: Mapping[str, OperationFailed],
    ) -> EngineError:
        """Gives every server what it had, those that failed as well, for they may have switched; the error to raise."""

        def back(name: str) -> None:
            host, had = self._hosts[name], before[name]
            if share < 1:
                host.promote(instance, 0)
            elif had is None:
                host.withdraw()
            else:
                host.promote(had)
            self._proof.demand(host, had)

        answers = asked(self._hosts, back)
        text = f"{fault_of(faults)}; taken back on {', '.join(answers.said) or 'none of them'}"
        if answers.faults:
            text += f", and not on {fault_of(answers.faults)}"
        return EngineError(text)

    def _older(self, instance: Instance) -> bool:
        """Whether another was started after it by a later run: then giving it the traffic is a way back."""
        own = _number(instance)
        known = self._everywhere(lambda host: host.known()).some()
        return any(_number(one) > own for instances in known.values() for one in instances)

    def _everywhere(self, act: Callable[[OneHost], Found]) -> Answers[Found]:
        return asked(self._hosts, lambda name: act(self._hosts[name]))


def _number(instance: Instance) -> int:
    """Of the run that started it."""
    match = re.fullmatch(r"r(\d+)x?", instance.id)
    return int(match[1]) if match else 0
