"""Asks a service over its unix socket, and counts who is connected to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gate import shell

# /proc/net/unix, column St: SS_CONNECTING (not accepted yet) and SS_CONNECTED.
_CONNECTED = {"02", "03"}
_LISTENS = 0x10000  # column Flags, __SO_ACCEPTCON: the listening socket itself

_LINGERS = 0.5  # seconds at most that an ended connection is seen

NO_ANSWER = 0


def get(socket: Path, path: str, *, timeout: float = 5) -> tuple[int, Any]:
    """Status and JSON body (None when it is none) of a GET; status 0 when nobody answers in time."""
    import httpx

    try:
        # A socket has no TLS; not reading the certificates saves 30 ms a call.
        transport = httpx.HTTPTransport(uds=str(socket), verify=False)
        with httpx.Client(transport=transport, base_url="http://instance", timeout=timeout, trust_env=False) as client:
            answer = client.get(path)
    except httpx.HTTPError:
        return NO_ANSWER, None
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, None


def field(socket: Path, reference: str) -> Any:
    """The value that ``PATH#FIELD`` names, such as ``/health#in_flight`` or ``/info#app.version``; None without one."""
    path, _, name = reference.partition("#")
    status, value = get(socket, path)
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if status == 200 else None


def connections(socket: Path, at_most: int | None = None) -> int | None:
    """How many connections a unix socket has; None where the system does not tell.

    The proxy keeps none open between requests, so this is the number of requests in flight, whatever the service says.
    A connection of ours that has just ended stays until a busy service has noticed: with more than ``at_most`` they
    are counted again for a moment.
    """
    counted: list[int | None] = []

    def settled() -> bool:
        counted.append(_connections(socket))
        return at_most is None or counted[-1] is None or counted[-1] <= at_most

    shell.wait_until(settled, timeout=_LINGERS, every=0.01)
    return counted[-1]


def _connections(socket: Path) -> int | None:
    try:
        lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    except OSError:
        return None
    tail = f"/{socket.parent.name}/{socket.name}"
    real = socket.parent.resolve() / socket.name
    count = 0
    for line in lines:
        columns = line.split(maxsplit=7)
        if len(columns) < 8 or not columns[7].endswith(tail) or columns[5] not in _CONNECTED:
            continue
        path = Path(columns[7])
        if not int(columns[3], 16) & _LISTENS and path.parent.resolve() / path.name == real:
            count += 1
    return count
