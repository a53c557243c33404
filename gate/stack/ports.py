"""Whether a port is free, and an error that says which key to change when it is not."""

from __future__ import annotations

import errno
import socket

from gate.config import Environment
from gate.errors import StackError


def require_free(environment: Environment, host: str, port: int, key: str) -> None:
    """Raises StackError, naming file and key, when something else listens on a port or it may not be used."""
    file = shown(environment)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as fault:
            what = {
                errno.EADDRINUSE: f"port {port} on {host} is taken{_by_whom(port)}",
                errno.EACCES: f"port {port} needs rights we do not have",
                errno.EADDRNOTAVAIL: f"{host} is no address of this machine",
            }.get(fault.errno or 0, f"{host}:{port} cannot be used: {fault.strerror}")
            raise StackError(
                f"{file}: {key}: {what}", next_step=f"stop that program, or change {key} in {file}"
            ) from None


def shown(environment: Environment) -> str:
    """The environment's file as a person writes it."""
    file = environment.file
    return str(file.relative_to(environment.root) if file.is_relative_to(environment.root) else file)


def _by_whom(port: int) -> str:
    """`` by NAME (pid N)`` where this user may see it."""
    import psutil

    try:
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.pid and found.laddr and found.laddr.port == port:
                return f" by {psutil.Process(found.pid).name()} (pid {found.pid})"
    except (psutil.Error, OSError):
        pass
    return ""
