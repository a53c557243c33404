"""Releases as containers of this machine's Docker engine: each service on a port of its own, the proxy in front.

A container is made when its instance is started and removed when that is pruned: what it wrote can be read until then,
and its image cannot be pruned by anybody. Docker starts one again only once its release is kept: before that, a
candidate that dies must be seen to be dead.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import requests

from gate.config import DockerSettings, Environment, Service
from gate.containers import log
from gate.containers.client import Client, again, asked, client, ended, epoch, found, managed
from gate.containers.images import image_of
from gate.containers.meter import Meter, ProcessMeter, StatsMeter
from gate.containers.options import LABEL, STATE, options
from gate.engines.around import Around
from gate.engines.base import Instance
from gate.engines.instances import Instances
from gate.engines.local import LocalEngine, here
from gate.engines.units import Ended
from gate.machine import shell
from gate.machine.supervise import tail
from gate.releases import read
from gate.routing import dial
from gate.routing.dial import Address
from gate.routing.traffic import Traffic
from gate.signals.lines import Lines

_OLDEST = (20, 10)
_CHANGED = 5.0  # seconds in which Docker sees that a container ended
_APART = 0.5  # seconds that two clocks may be
_LOG = {"max-size": "50m", "max-file": "3"}


class DockerEngine(LocalEngine):
    """Runs releases of one environment as containers; implements ``gate.engines.base.Engine``."""

    def __init__(self, environment: Environment, docker: DockerSettings) -> None:
        around = here(environment) if not docker.remote else server(environment, docker)
        super().__init__(environment, Containers(environment, docker, around), around)


def server(environment: Environment, docker: DockerSettings) -> Around:
    """What surrounds releases on a server."""
    from gate.remote.door import Door
    from gate.remote.proxy import RemoteProxy
    from gate.remote.reach import Beyond, RemoteHost

    door = Door(environment, docker)
    traffic = Traffic(environment, door)
    return Around(
        traffic=traffic,
        instances=Instances(door),
        reach=Beyond(environment, docker, door, traffic),
        proxy=RemoteProxy(environment, docker),
        host=RemoteHost(door).read,
    )


class Containers:
    """The containers of one environment; implements ``gate.engines.units.Units``."""

    def __init__(self, environment: Environment, docker: DockerSettings, around: Around) -> None:
        self._environment = environment
        self._docker = docker
        self._around = around
        self._meter: Meter = StatsMeter(docker) if docker.remote else ProcessMeter()

    def unit(self, instance: str, service: str) -> Container:
        return Container(self._environment, self._docker, instance, service, around=self._around, meter=self._meter)

    def follow(self, instance: str, services: Collection[str]) -> Lines:
        return log.Followed([self.unit(instance, name) for name in services], self._environment.redactor)

    def version(self) -> str:
        with asked(f"the Docker engine at {self._docker.host}"):
            return str(client(self._docker).version()["Version"])

    def fault(self, version: str) -> str | None:
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        if numbers < _OLDEST:
            return f"Docker {version} is not supported: {'.'.join(map(str, _OLDEST))} or later is"
        return self._apart() if self._docker.remote else None

    def _apart(self) -> str | None:
        """What is wrong with a server's clock: its logs are read by the time that they tell."""
        with asked(f"the Docker engine at {self._docker.host}"):
            began = time.time()
            told = epoch(str(client(self._docker).info()["SystemTime"]))
            ended = time.time()
        apart = max(began - told, told - ended, 0.0)
        if apart <= _APART:
            return None
        return f"the clock of {self._docker.host} and this machine's are {apart:.1f} s apart: both need time sync"


class Container:
    """One service of an instance as a container; implements ``gate.engines.units.Unit``."""

    def __init__(
        self,
        environment: Environment,
        docker: DockerSettings,
        instance: str,
        service: str,
        *,
        around: Around,
        meter: Meter,
    ) -> None:
        self.service = service
        self._around = around
        self._instance = instance
        self._environment = environment
        self._docker = docker
        self._meter = meter
        self._owner = docker.owner(environment.state_folder)
        # Environments of one machine share an engine, and their instances have the same names.
        place = hashlib.sha256(os.fsencode(self._owner)).hexdigest()[:8]
        self.name = f"{environment.app.name}-{environment.name}-{place}-{instance}-{service}"
        log = f"{service}.{docker.named.replace(':', '-')}.log" if environment.places else f"{service}.log"
        self._earlier = environment.state_folder / "rel" / instance / log

    def start(self, instance: Instance, service: Service) -> None:
        made = self._made()
        if made is not None and _runs(made):
            return
        if made is not None:
            self._keep_log()
            self._discard()
        release = read(Path(instance.folder))
        address, published = self._address(service)
        values = {
            "python": "python3",
            "host": address.host if not published else "0.0.0.0",  # noqa: S104 - in a network of its own
            "port": str(address.port if not published else service.port),
            "folder": self._environment.releases.inside,
            "root": str(self._environment.root),
            "state": str(self._environment.state_folder),
            "version": instance.version,
            "digest": instance.digest,
        }
        env = {key: shell.fill(value.reveal(), values) for key, value in service.env.items()}
        limits = service.limits
        self._around.traffic.listens(self._instance, self.service, address)
        with asked(f"{self.name}: see [services.{self.service}] in {self._environment.file.name}"):
            container = self._engine().containers.create(
                image_of(release),
                command=[shell.fill(word, values) for word in service.command],
                name=self.name,
                working_dir=self._environment.releases.inside,
                environment=env,
                labels={STATE: self._owner, **self._labels(instance)},
                ports=published,
                nano_cpus=int(limits.cpu * 1e9) if limits else None,
                mem_limit=limits.memory if limits else None,
                memswap_limit=limits.memory if limits else None,
                read_only=self._docker.read_only,
                tmpfs=dict.fromkeys(self._docker.tmpfs, ""),
                log_config={"Type": "json-file", "Config": _LOG},
                **options(self._docker, env.values(), [self._bind(mount) for mount in self._docker.mounts]),
            )
            container.start()

    def alive(self) -> bool:
        made = self._made()
        return made is not None and _runs(made)

    def held(self) -> bool:
        made = self._made()
        return made is not None and _held(made)

    def exit_code(self) -> int | None:
        made = self._made()
        return None if made is None or _runs(made) else int(made["State"]["ExitCode"])

    def trouble(self) -> str:
        made = self._made()
        if made is None:
            return ""
        if not _runs(made):  # of one that runs, the flag may tell of a child that died last week
            return "killed: it took more memory than its limit" if made["State"].get("OOMKilled") else ""
        return "its image's health check fails" if _health(made) == "unhealthy" else ""

    def doubt(self) -> str:
        made = self._made()
        return "its image's health check has not passed yet" if made is not None and _health(made) == "starting" else ""

    def remark(self) -> str:
        made = self._made()
        times = int(made["RestartCount"]) if made is not None else 0
        return (
            f"Docker has started it again {times} time{'' if times == 1 else 's'}, for it had ended by itself"
            if times
            else ""
        )

    def ask_to_stop(self) -> None:
        made = self._made()
        if made is not None and _held(made):
            self._signal(made["Config"].get("StopSignal") or "SIGTERM")

    def stop(self, grace: float) -> Ended:
        killed, over = False, time.monotonic() + grace
        with asked(self.name):
            while True:
                try:
                    self._engine().api.wait(self.name, timeout=max(over - time.monotonic(), 0.1))
                except requests.RequestException:
                    alive = again(self.alive)  # where it was not the time that was over, but the connection
                    if alive and time.monotonic() < over:
                        continue
                    killed = alive
                    self.kill()
                break
        return Ended(self.exit_code(), killed)

    def kill(self) -> None:
        if self.held():
            self._signal("SIGKILL")
            with asked(self.name):
                self._engine().api.wait(self.name, timeout=10)

    def _signal(self, name: str) -> None:
        """Sends a signal to one that runs, and sees to it that it is not started again."""
        api = self._engine().api
        with asked(self.name):
            if not shell.wait_until(self._stays_down, timeout=_CHANGED):
                api.update_container(self.name, restart_policy={"Name": "no"})  # for what the engine says to it
            made = self._made()
            if made is not None and made["State"]["Paused"]:
                api.unpause(self.name)
            ended(lambda: api.kill(self.name, name))

    def _stays_down(self) -> bool:
        """Sees to it that Docker never starts it again; False where Docker cannot say so yet.

        Docker fails to change a container that ends at that moment, and takes a while to see that it ended.
        """
        api = self._engine().api
        return not self.held() or managed(lambda: api.update_container(self.name, restart_policy={"Name": "no"}))

    def survive(self) -> None:
        with asked(self.name):
            if self.alive():
                self._engine().api.update_container(self.name, restart_policy={"Name": "unless-stopped"})

    def usage(self) -> tuple[float, int] | None:
        made = self._made()
        return self._meter.read(made) if made is not None and _runs(made) else None

    def tail(self, lines: int) -> list[str]:
        if self._made() is None:
            return tail(self._earlier, lines)
        return [*tail(self._earlier, lines), *self._printed(tail=lines).decode(errors="replace").splitlines()][-lines:]

    def since(self, moment: float) -> list[str]:
        """Lines from a moment on (seconds since 1970), each with the engine's own time stamp before it."""
        if self._made() is None:
            return []
        return log.since(self.name, partial(self._printed, timestamps=True), moment)

    def _printed(self, **wanted: Any) -> bytes:
        with asked(self.name):
            said: bytes = self._engine().api.logs(self.name, **wanted)
        return said

    def remove(self) -> None:
        self._discard()
        self._earlier.unlink(missing_ok=True)

    def _discard(self) -> None:
        with asked(self.name):
            made = found(self._engine().containers.get, self.name)
            if made is not None:
                made.remove(force=True, v=True)

    def _keep_log(self) -> None:
        """What the container wrote goes on being read when another takes its name."""
        lines = self.tail(2000)
        self._earlier.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._earlier.write_text("\n".join([*lines, ""]), encoding="utf-8")

    def _address(self, service: Service) -> tuple[Address, dict[str, Any]]:
        """Where it will listen, and what Docker is to publish for that."""
        address = Address(host=dial.host_of(self._instance), port=self._around.reach.free_port())
        if self._docker.network == "host" or service.port is None:
            return address, {}
        return address, {f"{service.port}/tcp": (address.host, address.port)}

    def _bind(self, mount: str) -> str:
        """A mount as Docker is told it: a folder of this machine begins at the project's."""
        folder, _, inside = mount.partition(":")
        if self._docker.remote:
            return mount
        folder = shell.fill(folder, {"state": str(self._environment.state_folder)})
        return f"{self._environment.root / folder}:{inside}"

    def _labels(self, instance: Instance) -> dict[str, str]:
        told = {
            "environment": self._environment.name,
            "instance": instance.id,
            "service": self.service,
            "version": instance.version,
            "digest": instance.digest,
        }
        return {f"{LABEL}{key}": value for key, value in told.items()}

    def _made(self) -> dict[str, Any] | None:
        with asked(self.name):
            return found(self._engine().api.inspect_container, self.name)

    def _engine(self) -> Client:
        return client(self._docker)


def _health(made: dict[str, Any]) -> str:
    """What its image's own health check says; empty without one."""
    return str((made["State"].get("Health") or {}).get("Status") or "")


def _held(made: dict[str, Any]) -> bool:
    """Whether it runs, is paused, or waits to be started again."""
    state = made["State"]
    return bool(state["Running"] or state["Restarting"] or state["Paused"])


def _runs(made: dict[str, Any]) -> bool:
    state = made["State"]
    return bool(state["Running"]) and not state["Restarting"] and not state["Paused"]
