"""Engines run releases. ``create`` imports the one an environment asks for, and no other."""

from __future__ import annotations

import os
import sys

from gate.config import CommandSettings, DockerSettings, Environment, SwarmSettings
from gate.engines.base import Engine
from gate.errors import ConfigError


def create(environment: Environment) -> Engine:
    """The engine of an environment. Raises ConfigError where it cannot work on this machine."""
    engine = environment.engine
    elsewhere = isinstance(engine, SwarmSettings | CommandSettings) or (
        isinstance(engine, DockerSettings) and engine.remote
    )
    if os.name != "posix" and not elsewhere:
        raise ConfigError(
            [
                f"{environment.file}: [engine] kind = {environment.engine.kind!r}: its releases and their proxy run on "
                f"the machine of the gate, which must be Linux then; this is {sys.platform}"
            ],
            next_step='run the gate on the server (docs/ci.md), or use kind = "swarm" or "command"',
        )
    if isinstance(environment.engine, DockerSettings):
        from gate.engines.docker import DockerEngine

        if not environment.places:
            return DockerEngine(environment, environment.engine)
        from gate.containers.spread import spread
        from gate.engines.hosts import HostsEngine

        docker = environment.engine
        hosts = {server.named: DockerEngine(environment, server) for server in docker.each}
        return HostsEngine(environment, hosts, bring=lambda release: spread(environment, docker, release))
    if isinstance(environment.engine, SwarmSettings):
        from gate.engines.swarm import SwarmEngine

        return SwarmEngine(environment, environment.engine)
    if isinstance(environment.engine, CommandSettings):
        from gate.engines.command import CommandEngine

        return CommandEngine(environment, environment.engine)
    from gate.engines.process import ProcessEngine

    return ProcessEngine(environment)


def each(environment: Environment) -> dict[str, Engine]:
    """The engine of each of several servers by its name, to look at one without the others; none where there is one."""
    if not isinstance(environment.engine, DockerSettings) or not environment.places:
        return {}
    from gate.engines.docker import DockerEngine

    return {server.named: DockerEngine(environment, server) for server in environment.engine.each}
