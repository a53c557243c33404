"""How every container of ours is made: who runs in it, what it may do, what it reaches."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from gate.config import ContainerSettings

_SOCKET_FOLDER = re.compile(r"[?&]host=(?P<folder>(?:/|%2F)[^&\s]*)", re.IGNORECASE)

LABEL = "deploy-gate."
STATE = f"{LABEL}state"
"""Label of every container of ours: the state folder of the environment it belongs to."""
INSTANCE, SERVICE = f"{LABEL}instance", f"{LABEL}service"
"""Labels of a release's containers."""
TOOL = f"{LABEL}tool"
"""Label of a container that runs one command and is gone."""


def options(docker: ContainerSettings, values: Iterable[str], binds: Iterable[str] = ()) -> dict[str, Any]:
    """What the SDK's ``create`` is given. ``values`` are those of the container's variables.

    A PostgreSQL on a unix socket is reached through its folder, which is mounted where the URL says it lies.
    """
    return {
        "network": docker.network,
        "user": docker.user,
        "volumes": [*binds, *(f"{folder}:{folder}:ro" for folder in sorted(socket_folders(values)))],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": docker.pids,
        "init": True,
    }


def socket_folders(values: Iterable[str]) -> set[str]:
    """The folders of unix sockets that URLs of PostgreSQL name in their query."""
    return {unquote(match["folder"]) for value in values for match in _SOCKET_FOLDER.finditer(value)}
