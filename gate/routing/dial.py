"""Where a service of an instance listens, written as the proxy dials it: a unix socket or a port of this machine.

Of an instance on a port the address tells which instance it is: each has an address of its own in 127.64.0.0/9, of
which Linux answers every one. So the proxy's log names who answered, also after the port was given to somebody else.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from gate.errors import EngineError

INSTANCE = re.compile(r"r[0-9]{1,9}x?")

_FIRST = int(IPv4Address("127.64.0.0"))
_SPARE = 1 << 22  # the addresses of r0x, r1x … follow those of r0, r1 …
ON_PORTS = r"tcp/127\.(?:6[4-9]|[7-9][0-9]|1[0-8][0-9]|19[01])(?:\.[0-9]{1,3}){2}:[0-9]{1,5}"
"""Pattern of what listens on a port, in the syntax that Python and the proxy (RE2) have in common."""

_UNIX = re.compile(rf"unix/.*/(?P<instance>{INSTANCE.pattern})/[^/]+\.sock", re.DOTALL)
_TCP = re.compile(ON_PORTS)


@dataclass(frozen=True)
class Address:
    """One of the two: the path of a unix ``socket``, or ``host`` and ``port``."""

    socket: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"unix/{self.socket}" if self.socket is not None else f"tcp/{self.host}:{self.port}"

    @staticmethod
    def parse(text: str) -> Address:
        """The address that ``str`` wrote. Raises ValueError."""
        if text.startswith("unix//"):
            return Address(Path(text.removeprefix("unix/")))
        if not _TCP.fullmatch(text):
            raise ValueError(f"{text[:60]!r} is no address of a service")
        host, _, port = text.removeprefix("tcp/").partition(":")
        return Address(host=host, port=int(port))


def host_of(instance: str) -> str:
    """The address of this machine that belongs to one instance. Raises EngineError for a name beyond all addresses."""
    match = INSTANCE.fullmatch(instance)
    number = int(instance.strip("rx")) if match else _SPARE
    if number >= _SPARE:
        raise EngineError(f"{instance}: no address is left for a service on a port; its name is beyond r{_SPARE - 1}")
    return str(IPv4Address(_FIRST + number + (_SPARE if instance.endswith("x") else 0)))


def instance_of(upstream: str) -> str | None:
    """The instance that listens at an address, as the proxy's log has it; None when it is no instance's."""
    if match := _UNIX.fullmatch(upstream):
        return match["instance"]
    if not _TCP.fullmatch(upstream):
        return None
    try:
        number = int(IPv4Address(upstream.removeprefix("tcp/").partition(":")[0])) - _FIRST
    except ValueError:
        return None
    return f"r{number}" if number < _SPARE else f"r{number - _SPARE}x"


def free_port() -> int:
    """A port that nobody listens on, on any address of this machine: applications may listen on all of them."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # noqa: S104 - asked for, never listened on
        return int(probe.getsockname()[1])
