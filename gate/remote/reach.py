"""Asks services of a server through its front door, and its system through the door's container."""

from __future__ import annotations

import re
from typing import Any

from gate.config import DockerSettings, Environment
from gate.engines import probing
from gate.engines.base import Host
from gate.errors import EngineError
from gate.remote.door import FOLDER, Door
from gate.remote.ssh import connection
from gate.routing.dial import Address
from gate.routing.tls import TOKEN_HEADER
from gate.routing.traffic import ADDRESS_HEADER, ANSWERED_HEADER, OPEN_HEADER, Traffic

_SECONDS = 5.0
_AGAIN = 0.1  # seconds until connections are counted once more
_PORTS = range(20_000, 30_000)


class Beyond:
    """Services of one server; implements ``gate.engines.around.Reach``."""

    def __init__(self, environment: Environment, docker: DockerSettings, door: Door, traffic: Traffic) -> None:
        self._environment = environment
        self._docker = docker
        self._door = door
        self._traffic = traffic
        self._token = ""

    def get(self, address: Address, path: str) -> tuple[int, Any]:
        answer = self._ask(path, {ADDRESS_HEADER: str(address)})
        if answer is None or ANSWERED_HEADER not in answer.headers:  # the proxy's own: nobody answers there
            return probing.NO_ANSWER, None
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, None

    def listens(self, address: Address) -> bool:
        return self.get(address, "/")[0] != probing.NO_ANSWER

    def connections(self, address: Address, at_most: int | None = None) -> int | None:
        return probing.settled(lambda: probing.connected(self._tables(), address), at_most, every=_AGAIN)

    def door(self) -> str:
        return f"http://127.0.0.1:{connection(self._docker).port}"

    def door_open(self) -> bool:
        """Whether the proxy answers, whatever it says."""
        answer = self._ask("/", {OPEN_HEADER: "?"})
        return answer is not None

    def free_port(self) -> int:
        """A port of the server that nobody listens on. Raises EngineError."""
        taken = probing.listening(self._tables())
        return next(port for port in _shuffled() if not any(end.endswith(f":{port:04X}") for end in taken))

    def _tables(self) -> str:
        return self._door.ask("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; :")[1]

    def _ask(self, path: str, headers: dict[str, str]) -> Any:
        """The answer at the server's own door; None when there is none in time. Raises EngineError."""
        import httpx

        self._token = self._token or self._traffic.token().reveal()
        try:
            with httpx.Client(timeout=_SECONDS, trust_env=False, verify=False) as client:  # noqa: S501 - no TLS in SSH
                return client.get(f"{self.door()}{path}", headers={TOKEN_HEADER: self._token, **headers})
        except httpx.HTTPError:
            return None


class RemoteHost:
    """How loaded the server is: CPU since the call before. The gate does not run there, so nothing of it is ours."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._last: tuple[int, int] | None = None

    def read(self) -> Host:
        """Raises EngineError."""
        script = 'cat /proc/stat /proc/meminfo && df -kP -- "$1"'
        if self._last is None:
            self._last = _spent(self._door.ask(script, str(FOLDER))[1])
        _, said = self._door.ask(script, str(FOLDER))
        (total, idle), (total_before, idle_before) = _spent(said), self._last
        self._last = (total, idle)
        memory = {name: int(size) for name, size in re.findall(r"^(MemTotal|MemAvailable): +(\d+) kB$", said, re.M)}
        size, used, free = (1024 * int(number) for number in said.splitlines()[-1].split()[1:4])
        if not size:
            raise EngineError(f"the server does not tell how large the disk of {FOLDER} is")
        passed = max(total - total_before, 1)
        return Host(
            cpu=min(1.0, max(0.0, 1 - (idle - idle_before) / passed)),
            own=0.0,
            memory=1 - memory["MemAvailable"] / memory["MemTotal"],
            disk=used / max(used + free, 1),
            disk_free=free,
            cores=max(1, len(re.findall(r"^cpu\d", said, re.M))),
        )


def _spent(said: str) -> tuple[int, int]:
    """All ticks of the CPUs since the server started, and those nobody used (idle and waiting), of ``/proc/stat``."""
    ticks = [int(number) for number in said.split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def _shuffled() -> list[int]:
    import secrets

    ports = list(_PORTS)
    secrets.SystemRandom().shuffle(ports)
    return ports
