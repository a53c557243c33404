"""Engines run releases. ``create`` imports the one an environment asks for, and no other."""

from __future__ import annotations

from gate.config import CommandSettings, DockerSettings, Environment, SwarmSettings
from gate.engines.base import Engine


def create(environment: Environment) -> Engine:
    """The engine of an environment."""
    if isinstance(environment.engine, DockerSettings):
        from gate.engines.docker import DockerEngine

        return DockerEngine(environment, environment.engine)
    if isinstance(environment.engine, SwarmSettings):
        from gate.engines.swarm import SwarmEngine

        return SwarmEngine(environment, environment.engine)
    if isinstance(environment.engine, CommandSettings):
        from gate.engines.command import CommandEngine

        return CommandEngine(environment, environment.engine)
    from gate.engines.process import ProcessEngine

    return ProcessEngine(environment)
