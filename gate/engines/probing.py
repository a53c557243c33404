"""Asks a service where it listens, and counts who is connected to it."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.engines.base import Endpoint
from gate.machine import shell
from gate.routing.dial import Address, free_port

if TYPE_CHECKING:
    import httpx

    from gate.config import Environment
    from gate.engines.around import Reach

# /proc/net/unix, column St: SS_CONNECTING (not accepted yet) and SS_CONNECTED.
_CONNECTED = {"02", "03"}
_ESTABLISHED = {"01", "02"}  # /proc/net/tcp, column st: TCP_ESTABLISHED and TCP_SYN_SENT
_LISTENING = "0A"
_LISTENS = 0x10000  # column Flags, __SO_ACCEPTCON: the listening socket itself

_ACCEPTS = 2.0  # seconds
_LINGERS = 0.5  # seconds at most that an ended connection is seen

NO_ANSWER = 0


def get(address: Address, path: str, *, timeout: float = 5) -> tuple[int, Any]:
    """Status and JSON body (None when it is none) of a GET; status 0 when nobody answers in time."""
    import httpx

    try:
        # There is no TLS behind the proxy; not reading the certificates saves 30 ms a call.
        transport = httpx.HTTPTransport(uds=str(address.socket) if address.socket else None, verify=False)
        base = "http://instance" if address.socket else f"http://{address.host}:{address.port}"
        with httpx.Client(transport=transport, base_url=base, timeout=timeout, trust_env=False) as client:
            answer = client.get(path)
    except httpx.HTTPError:
        return NO_ANSWER, None
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, None


def _client_of(door: Endpoint, timeout: float) -> httpx.Client:
    import httpx

    verify: ssl.SSLContext | bool = door.url.startswith("https:")
    if door.ca is not None:
        verify = ssl.create_default_context(cafile=str(door.ca))
    return httpx.Client(verify=verify, timeout=timeout, trust_env=False)


def status_at(door: Endpoint, path: str, *, timeout: float = 5) -> int:
    """Status of a GET at an endpoint; 0 when nobody answers in time."""
    import httpx

    try:
        with _client_of(door, timeout) as client:
            return client.get(f"{door.url}{path}", headers=dict(door.headers)).status_code
    except httpx.HTTPError:
        return NO_ANSWER


def field_at(door: Endpoint, reference: str) -> Any:
    """The value that ``PATH#FIELD`` names at an endpoint; None without one."""
    import httpx

    path, _, name = reference.partition("#")
    try:
        with _client_of(door, 5) as client:
            answer = client.get(f"{door.url}{path}", headers=dict(door.headers))
        value = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if answer.status_code == 200 else None


def field(reach: Reach, address: Address, reference: str) -> Any:
    """The value that ``PATH#FIELD`` names, such as ``/health#in_flight`` or ``/info#app.version``; None without one."""
    path, _, name = reference.partition("#")
    status, value = reach.get(address, path)
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if status == 200 else None


class Here:
    """Services of this machine; implements ``gate.engines.around.Reach``."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def get(self, address: Address, path: str) -> tuple[int, Any]:
        return get(address, path)

    def listens(self, address: Address) -> bool:
        return listens(address)

    def connections(self, address: Address, at_most: int | None = None) -> int | None:
        return connections(address, at_most)

    def free_port(self) -> int:
        return free_port()

    def door(self) -> str:
        secure = self._environment.traffic.tls
        private = secure.probes if secure is not None else None
        host, _, port = (private or self._environment.traffic.listen).rpartition(":")
        return f"http://{'127.0.0.1' if host in {'0.0.0.0', ''} else host}:{port}"  # noqa: S104


def listens(address: Address) -> bool:
    """Whether somebody accepts connections there."""
    family = socket.AF_UNIX if address.socket else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as asking:
        asking.settimeout(_ACCEPTS)
        try:
            asking.connect(str(address.socket) if address.socket else (address.host, address.port))
        except OSError:
            return False
    return True


def connections(address: Address, at_most: int | None = None) -> int | None:
    """How many connections a service has; None where the system does not tell.

    The proxy keeps none open between requests, so this is the number of requests in flight, whatever the service says.
    A connection of ours that has just ended stays until a busy service has noticed: with more than ``at_most`` they
    are counted again for a moment.
    """
    return settled(
        lambda: _connections(address.socket) if address.socket else _connected_to(address), at_most, every=0.01
    )


def settled(count: Callable[[], int | None], at_most: int | None, *, every: float) -> int | None:
    """What ``count`` gives; more than ``at_most`` is counted again for a moment, each ``every`` seconds."""
    counted: list[int | None] = []

    def few() -> bool:
        counted.append(count())
        return at_most is None or counted[-1] is None or counted[-1] <= at_most

    shell.wait_until(few, timeout=_LINGERS, every=every)
    return counted[-1]


def _connections(place: Path) -> int | None:
    try:
        lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    except OSError:
        return None
    tail = f"/{place.parent.name}/{place.name}"
    real = place.parent.resolve() / place.name
    count = 0
    for line in lines:
        columns = line.split(maxsplit=7)
        if len(columns) < 8 or not columns[7].endswith(tail) or columns[5] not in _CONNECTED:
            continue
        path = Path(columns[7])
        if not int(columns[3], 16) & _LISTENS and path.parent.resolve() / path.name == real:
            count += 1
    return count


def _connected_to(address: Address) -> int | None:
    """Connections from this machine to a port."""
    try:
        table = Path("/proc/net/tcp").read_text()
    except OSError:
        return None
    return connected(table, address)


def connected(table: str, address: Address) -> int:
    """Connections to a port, in what ``/proc/net/tcp`` holds, seen from the end of those who opened them."""
    wanted = _in_table(address)
    rows = [line.split() for line in table.splitlines()[1:]]
    return sum(1 for row in rows if row[2] == wanted and row[3] in _ESTABLISHED)


def listening(table: str) -> set[str]:
    """The ends that somebody listens on, as they stand in ``/proc/net/tcp``."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[1] for row in rows if row[3] == _LISTENING}


def _in_table(address: Address) -> str:
    """Addresses stand there as the machine has them in memory, ports as they are read."""
    return f"{int.from_bytes(IPv4Address(address.host).packed, sys.byteorder):08X}:{address.port:04X}"
