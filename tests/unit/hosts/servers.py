"""Servers in memory, driven as one by the real engine over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gate.engines.base import Drained, Endpoint, Facts, Host, Instance, ServiceState, Stopped, Usage
from gate.engines.hosts import HostsEngine
from gate.engines.one_host import OneHost
from gate.errors import EngineError
from gate.releases import Release
from gate.signals.lines import Lines
from tests.unit.lines import MadeUp
from tests.unit.test_config import read, table

LOST = EngineError("no SSH connection")
SEVERAL = {
    "engine": {"kind": "docker", "hosts": ["ssh://a", "ssh://b"]},
    "releases__image": "registry.example/store",
    "services__web__port": 8000,
}


def release(version: str) -> Release:
    return Release(version, f"sha256:{version}", None, Path(version))


def instance(name: str, version: str) -> Instance:
    return Instance(name, version, f"sha256:{version}", None, version, datetime(2026, 11, 1, tzinfo=UTC))


OLD, NEW = instance("r1", "1.0.0"), instance("r2", "1.1.0")


@dataclass
class Server:
    """One server, in memory; implements ``OneHost``. ``wrong``: what a call of a name raises. ``answers``: the version
    that its front door tells, if not that of who serves."""

    name: str
    known_: dict[str, Instance] = field(default_factory=dict)
    serving: Instance | None = None
    shared: tuple[str, float] | None = None
    ailing: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, Exception] = field(default_factory=dict)
    answers: str | None = None
    calls: list[str] = field(default_factory=list)
    lost: bool = False
    follows: Callable[[], list[tuple[str, str]]] = list
    used: Host = field(default_factory=lambda: Host(0.1, 0.0, 0.2, 0.3, 1000, 4))
    unfit: str = ""

    beside = True
    owns = True

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.lost:
            raise LOST
        if name in self.wrong:
            raise self.wrong[name]

    def facts(self) -> Facts:
        unfit = str(LOST) if self.lost else self.unfit
        return Facts("docker", "20.10", "caddy", "2.11.2", supported=not unfit, detail=unfit)

    def host(self) -> Host:
        self._called("host")
        return self.used

    def instances(self) -> list[Instance]:
        self._called("instances")
        return list(self.known_.values())

    def known(self) -> list[Instance]:
        self._called("known")
        return list(self.known_.values())

    def find(self, instance_id: str) -> Instance | None:
        self._called("find")
        return self.known_.get(instance_id)

    def stable(self) -> Instance | None:
        self._called("stable")
        return self.serving

    def canary(self) -> tuple[str, float] | None:
        self._called("canary")
        return self.shared

    def obstacles(self, release: Release) -> list[str]:
        self._called("obstacles")
        return [f"{release.version} is in its own way"] if self.unfit else []

    def start(self, release: Release, instance_id: str) -> Instance:
        self._called("start")
        return self.known_.setdefault(instance_id, instance(instance_id, release.version))

    def health(self, instance: Instance) -> list[ServiceState]:
        self._called("health")
        ailing = self.ailing.get(instance.id, "")
        return [ServiceState("web", alive=ailing != "has died", healthy=not ailing, detail=ailing)]

    def endpoint(self, instance: Instance | None) -> Endpoint:
        self._called("endpoint")
        return Endpoint(f"http://{self.name}/{self.known_[instance.id].version}" if instance else "http://front")

    def front(self) -> Endpoint:
        self._called("front")
        served = self.serving.version if self.serving else ""
        return Endpoint(f"http://{self.name}/{self.answers or served}")

    def promote(self, instance: Instance, share: float = 1.0) -> None:
        self._called(f"promote {instance.id}" if share == 1 else "share" if share else "unshare")
        if share == 1:
            self.serving, self.shared = instance, None
        else:
            self.shared = (instance.id, share) if share else None

    def withdraw(self) -> None:
        self._called("withdraw")
        self.serving = self.shared = None

    def drain(self, _instance: Instance, _timeout: float) -> Drained:
        self._called("drain")
        return Drained(complete=True, seconds=0.1, left=0)

    def stop(self, instance: Instance, _grace: float | None = None) -> list[Stopped]:
        self._called(f"stop {instance.id}")
        return [Stopped("web", 0, 0.1, killed=False)]

    def resources(self, _instance: Instance) -> list[Usage]:
        self._called("resources")
        return [Usage("web", 0.5, 1000, 1.0, 2000)]

    def logs(self, _instance: Instance, last: int = 200) -> list[str]:
        self._called("logs")
        return [f"web: {last} lines: {self.name}"]

    def follow(self, _instance: Instance) -> Lines:
        self._called("follow")
        return MadeUp(self.follows)

    def rebuild(self, known: Mapping[str, Instance]) -> list[Instance]:
        self._called("rebuild")
        return list(known.values())

    def prune(self, keep: set[str]) -> list[str]:
        self._called("prune")
        return [name for name in self.known_ if name not in keep]

    def settle(self) -> None:
        self._called("settle")


def ask(door: Endpoint, _reference: str) -> Any:
    """The version is the last part of a made-up address."""
    return door.url.rpartition("/")[2] or None


def engine(*servers: OneHost, bring: Callable[[Release], None] = lambda _: None) -> HostsEngine:
    named = {getattr(server, "name"): server for server in servers}  # noqa: B009 - a server of these tests
    return HostsEngine(read(table(**SEVERAL)), named, bring=bring, ask=ask, patience=0.2)


def serving(*servers: Server) -> list[str]:
    return [server.serving.id if server.serving else "nothing" for server in servers]
