"""The server a URL of the environment file means, checked against the port the stack gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gate.config import Environment, Port
from gate.errors import StackError
from gate.redact import Secret
from gate.stack.ports import shown

HOST = "127.0.0.1"
_LOOPBACK = {HOST, "localhost"}


@dataclass(frozen=True)
class Address:
    """Who connects where: ``name`` is the path of the URL, a database's name."""

    user: str
    password: str = field(repr=False)
    port: int
    name: str


def address(environment: Environment, section: str, url: Secret | None, port: Port) -> Address:
    """The parts of ``[section] url``. Raises StackError when it is missing or means another server."""
    file, key = shown(environment), f"[{section}] url"
    stack_key = f"[stack.{'postgres' if section == 'database' else section}] port"
    if url is None:
        raise StackError(f"{file}: {stack_key} needs {key}", next_step=f"edit {file}")
    try:
        parts = urlsplit(url.reveal())
        found = parts.port
    except ValueError:
        raise StackError(f"{file}: {key}: not a URL", next_step=f"edit {file}") from None
    if parts.hostname not in _LOOPBACK or found != port.port:
        raise StackError(
            f"{file}: {key} means {parts.hostname}:{found}, but {stack_key} starts {HOST}:{port.port}",
            next_step=f"edit {file}",
        )
    if not parts.password:
        raise StackError(f"{file}: {key} has no password", next_step="write ${generated:NAME} where it belongs")
    return Address(unquote(parts.username or ""), unquote(parts.password), port.port, unquote(parts.path.lstrip("/")))
