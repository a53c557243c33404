"""Removes the containers that a killed gate left beside its work."""

from __future__ import annotations

import functools

from gate.config import ContainerSettings, Environment
from gate.containers.client import asked, client, ended, listed
from gate.containers.options import STATE, TOOL


def sweep(environment: Environment, docker: ContainerSettings) -> None:
    """Migration tools that nobody waits for, and releases of rehearsals. Call it under the environment's lock.

    Raises EngineError.
    """
    ours = docker.owner(environment.state_folder)
    scratch = f"{docker.owner(environment.state_folder / 'scratch')}/"
    with asked(f"the containers at {docker.host}"):
        for container in listed(client(docker), stopped=True, label=STATE):
            state = container.labels[STATE]
            if state.startswith(scratch) or (state == ours and TOOL in container.labels):
                ended(functools.partial(container.remove, force=True, v=True))
