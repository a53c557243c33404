"""The front door on a server: Caddy in a container, with the same configuration that never changes.

The container belongs to the environment, not to a release: it is made by ``up`` and removed by ``down``; its volume,
with what traffic is and who serves, stays.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gate.config import DockerSettings, Environment
from gate.containers.client import asked
from gate.engines import probing
from gate.errors import EngineError, StackError
from gate.machine import shell
from gate.redact import cut
from gate.remote.door import FOLDER, Door
from gate.remote.reach import Beyond
from gate.routing import tls
from gate.routing.traffic import Traffic
from gate.stack.parts import Part
from gate.stack.proxy import fault

_CONFIG = "caddy.json"
_ADMIN = FOLDER / "admin.sock"


class RemoteProxy:
    """One environment's front door on a server; implements ``gate.engines.around.FrontDoor``."""

    @property
    def name(self) -> str:
        return f"proxy on {self._docker.named}" if self._environment.places else "proxy"

    def __init__(self, environment: Environment, docker: DockerSettings) -> None:
        self._environment = environment
        self._docker = docker
        self._door = Door(environment, docker)
        self._traffic = Traffic(environment, self._door)
        self._started = False
        self._beyond = Beyond(environment, docker, self._door, self._traffic)

    def check(self) -> None:
        """Raises ConfigError when the environment file asks for what cannot be, EngineError without a connection."""
        tls.files(self._environment)
        with asked(f"the Docker engine at {self._docker.host}"):
            self._door.engine.ping()

    def open(self) -> None:
        """Starts the container unless it runs, as it was: without it nothing on the server can be read.

        Raises EngineError, StackError.
        """
        made = self._door.found()
        if made is None or not made["State"]["Running"]:
            self._start()
            self._started = True

    def up(self) -> bool:
        """Opens the door, or gives it a configuration that has changed; whether anything was done.

        Raises EngineError, StackError when it does not start.
        """
        self.open()
        started, self._started = self._started, False
        unfit = fault(self.version())
        if unfit is not None:
            other = self._other()
            raise StackError(
                f"{unfit} ({other or self._docker.front_door})",
                next_step=self._exchange if other else "another image: [engine] front_door",
            )
        wanted = self._wanted()
        changed = self._door.read(_CONFIG) != wanted
        if changed:
            self._reload(wanted)
        if (started or changed) and not shell.wait_until(self.answers, timeout=20):
            raise self._silent()
        return started or changed

    def restore(self, timeout: float) -> None:
        """Starts one that has died again, as it was. Raises StackError, EngineError.

        One that runs is given the time to answer, and is started anew only when the server does: what is slow, or lost,
        is the connection more often than the proxy, and users are on it.
        """
        if self.answers():
            return
        made = self._door.found()
        if made is None or not made["State"]["Running"]:
            self._start()
        elif not shell.wait_until(self.answers, timeout=timeout):
            self._door.run(":")
            if self.answers():
                return
            with asked(self._door.name):
                self._door.engine.api.restart(self._door.name, timeout=0)
        if not shell.wait_until(self.answers, timeout=timeout):
            raise self._silent()

    def answers(self) -> bool:
        """Whether the container runs and lets the gate in."""
        try:
            return self._beyond.door_open()
        except EngineError:
            return False

    def down(self) -> None:
        """Ends and removes the container; requests in flight get 5 seconds. Its volume stays."""
        if self._door.found() is not None:
            with asked(self._door.name):
                container = self._door.engine.containers.get(self._door.name)
                container.stop(timeout=5)
                container.remove(force=True)

    def version(self) -> str:
        """Of the Caddy in the container. Raises EngineError."""
        _, said = self._door.ask("caddy version")
        match = re.search(r"\d+(\.\d+)+", said)
        if match is None:
            raise StackError(f"{self._docker.front_door}: caddy version printed no version")
        return match[0]

    def status(self) -> Part:
        """Whether it answers, without starting anything."""
        try:
            program = f"Caddy {self.version()}"
        except (EngineError, StackError):
            program = "Caddy"
        where = f"{self._environment.traffic.listen} on {self._docker.host}"
        other = self._other()
        if other is not None:
            where += f": it runs {other}, and no {self._docker.front_door} until {self._exchange}"
        return Part(self.name, self.answers(), program, where)

    def _other(self) -> str | None:
        """The image of the container, where the environment file names another by now; None without a container."""
        try:
            made = self._door.found()
        except EngineError:
            return None
        image = str(made["Config"]["Image"]) if made is not None else self._docker.front_door
        return None if image == self._docker.front_door else image

    @property
    def _exchange(self) -> str:
        """What a person types when nobody needs the front door: users get no answer meanwhile."""
        command = f"python deploy_gate.py {self._environment.name}"
        return f"{command} down && {command} up"

    def _start(self) -> None:
        """Starts the container with the configuration in its volume.

        The first one has none: it begins with nothing to serve, for the volume is written through it.
        """
        made = self._door.found()
        if made is None:
            self._door.create()
        with asked(self._door.name):
            if self._first():
                self._door.put(_CONFIG, _empty().encode())
            self._door.engine.api.start(self._door.name)

    def _reload(self, wanted: str) -> None:
        ready = ('[ -S "$1" ]', str(_ADMIN))
        if not shell.wait_until(lambda: self._door.run(*ready, allowed=(0, 1))[0] == 0, timeout=20):
            raise self._silent()
        self._require_free(wanted)
        for name, content in tls.files(self._environment).items():
            self._door.write(str(tls.kept(self._environment) / name), content.decode())
        self._door.write(f"{_CONFIG}.next", wanted)
        places = (str(FOLDER / f"{_CONFIG}.next"), f"unix/{_ADMIN}")
        code, said = self._door.run('caddy reload --config "$1" --address "$2"', *places, allowed=(0, 1))
        if code != 0:
            raise StackError(
                f"the proxy (Caddy) on {self._docker.host} refused its configuration: {cut.tail(said, 300)}"
            )
        self._door.move(f"{_CONFIG}.next", _CONFIG)

    def _require_free(self, wanted: str) -> None:
        """Raises StackError for a port that somebody else has: the kernel would give both of them half of the users."""
        before = self._door.read(_CONFIG) or ""
        _, table = self._door.ask("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; :")
        taken = probing.listening(table)
        for place in (self._environment.traffic.listen, self._docker.door):
            port = place.rpartition(":")[2]
            if f'"{place}"' in before or f'"{place}"' not in wanted:
                continue
            if any(end.endswith(f":{int(port):04X}") for end in taken):
                raise StackError(
                    f"{self._docker.host}: port {port} is somebody else's already",
                    next_step=f"another [traffic] listen or [engine] probes in {self._environment.file.name}",
                )

    def _silent(self) -> StackError:
        with asked(self._door.name):
            said = self._door.engine.api.logs(self._door.name, tail=4, stdout=False).decode(errors="replace")
        return StackError(f"the proxy (Caddy) on {self._docker.host} does not answer:\n{said}")

    def _first(self) -> bool:
        """Whether the volume holds no configuration yet."""
        from docker.errors import NotFound

        try:
            self._door.engine.api.get_archive(self._door.name, str(FOLDER / _CONFIG))
        except NotFound:
            return True
        return False

    def _wanted(self) -> str:
        self._traffic.prepare()
        config = self._traffic.proxy_config(_ADMIN, remote=self._docker.door)
        return json.dumps(config, indent=1, sort_keys=True)


def _empty() -> str:
    config: dict[str, Any] = {"admin": {"listen": f"unix/{_ADMIN}|0200", "config": {"persist": False}}}
    return json.dumps(config)
