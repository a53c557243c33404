"""Deploys ``python dying.py VERSION`` in a project, and is killed once the first of two servers has switched and before
the second one does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from gate import engines
from gate.commands.changing import Commands
from gate.config import DockerSettings, Environment
from gate.containers.spread import spread
from gate.deployment.run import Options
from gate.engines.base import Engine, Instance
from gate.engines.docker import DockerEngine
from gate.engines.hosts import HostsEngine
from gate.environments import load
from gate.machine.shell import wait_until
from gate.redact import Redactor
from gate.remote.door import Door
from gate.routing.traffic import Traffic
from gate.terminal.terminal import Terminal


class Second(DockerEngine):
    """Does something else in place of switching, as soon as the first server has switched."""

    def __init__(
        self, environment: Environment, docker: DockerSettings, first: DockerSettings, act: Callable[[], None]
    ) -> None:
        super().__init__(environment, docker)
        self._first = Traffic(environment, Door(environment, first))
        self._act = act

    def promote(self, instance: Instance, share: float = 1.0) -> None:
        if instance.id != self._traffic.stable():
            assert wait_until(lambda: self._first.stable() == instance.id, timeout=240)
            self._act()
        super().promote(instance, share)


def over_both(environment: Environment, act: Callable[[], None]) -> HostsEngine:
    """The engine over two servers, whose second one is no good."""
    docker = environment.engine
    assert isinstance(docker, DockerSettings)
    first, second = docker.each
    hosts = {first.named: DockerEngine(environment, first), second.named: Second(environment, second, first, act)}
    return HostsEngine(environment, hosts, bring=lambda release: spread(environment, docker, release))


def create(environment: Environment) -> Engine:
    return over_both(environment, lambda: os.kill(os.getpid(), signal.SIGKILL))


def main() -> None:
    environment = load("local", Path.cwd())
    engines.create = create
    commands = Commands(environment, Terminal(sys.stderr, Redactor()), door="python deploy_gate.py", command="dying")
    commands.deploy(sys.argv[1], Options(), dry_run=False, confirm=lambda _question: True)


if __name__ == "__main__":
    main()
