"""Releases as processes on this machine: each service on a unix socket or a port of its own, the proxy in front."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from gate.config import Environment, Service
from gate.engines import usage
from gate.engines.base import Instance
from gate.engines.local import LocalEngine, here
from gate.engines.units import Ended
from gate.errors import EngineError, OperationFailed
from gate.machine import shell
from gate.machine.supervise import Process, tail
from gate.routing import dial
from gate.routing.dial import Address
from gate.routing.traffic import Traffic
from gate.signals.lines import Lines
from gate.signals.log_files import LogFiles

_PASSED_ON = ("PATH", "HOME", "LANG", "TZ")


class ProcessEngine(LocalEngine):
    """Runs releases of one environment as processes; implements ``gate.engines.base.Engine``."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment, Processes(environment), here(environment))


class Processes:
    """The processes of one environment; implements ``gate.engines.units.Units``."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._meter = usage.Meter()

    def unit(self, instance: str, service: str) -> ProcessUnit:
        place = self._environment.state_folder / "rel" / instance
        return ProcessUnit(self._environment, Process(place, service), self._meter)

    def follow(self, instance: str, services: Collection[str]) -> Lines:
        logs = {name: self.unit(instance, name).process.log for name in services}
        return LogFiles(logs, self._environment.redactor)

    def version(self) -> str:
        return ".".join(map(str, sys.version_info[:3]))

    def fault(self, version: str) -> str | None:  # noqa: ARG002 - the gate itself would not run on an unfit one
        return None


class ProcessUnit:
    """One service of an instance as a process; implements ``gate.engines.units.Unit``."""

    def __init__(self, environment: Environment, process: Process, meter: usage.Meter) -> None:
        self.process = process
        self._environment = environment
        self._meter = meter

    def start(self, instance: Instance, service: Service) -> None:
        if self.alive():
            return
        self.kill()  # workers of a parent that is gone would still hold its resources
        name = self.process.name
        traffic = Traffic(self._environment)
        socket = traffic.socket(instance.id, name)
        socket.unlink(missing_ok=True)
        words = [*service.command, *(value.reveal() for value in service.env.values())]
        address = _address(instance, socket, words)
        values = {
            "python": sys.executable,
            "socket": str(socket),
            "host": address.host,
            "port": str(address.port),
            "folder": instance.folder,
            "root": str(self._environment.root),
            "state": str(self._environment.state_folder),
            "version": instance.version,
            "digest": instance.digest,
        }
        argv = [shell.fill(word, values) for word in service.command]
        env = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        env.setdefault("LANG", "C.UTF-8")
        # Programs of the gate's own virtual environment come first; a release's folder stays as it was built.
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        env |= {key: shell.fill(value.reveal(), values) for key, value in service.env.items()}
        traffic.listens(instance.id, name, address)
        try:
            self.process.start(argv, env=env, cwd=Path(instance.folder))
        except OperationFailed as fault:
            file, key = self._environment.file, f"[services.{name}] command"
            raise EngineError(
                f"{instance.id} ({instance.version}): {fault}", next_step=f"see {key} in {file}"
            ) from None

    def alive(self) -> bool:
        return self.process.alive()

    def held(self) -> bool:
        return self.process.held()

    def exit_code(self) -> int | None:
        return self.process.exit_code()

    def trouble(self) -> str:
        return ""

    def doubt(self) -> str:
        return ""

    def remark(self) -> str:
        return ""  # nothing starts it again

    def ask_to_stop(self) -> None:
        self.process.send(signal.SIGTERM)

    def stop(self, grace: float) -> Ended:
        ended = self.process.stop(grace, number=0)
        return Ended(ended.exit_code, ended.killed)

    def kill(self) -> None:
        self.process.kill()

    def survive(self) -> None:
        """Nothing: nobody looks after processes but ``up``."""

    def usage(self) -> tuple[float, int] | None:
        pid = self.process.pid()
        return self._meter.read(pid) if pid is not None else None

    def tail(self, lines: int) -> list[str]:
        return tail(self.process.log, lines)

    def remove(self) -> None:
        """Nothing: all of it lies in the instance's folder."""


def _address(instance: Instance, socket: Path, words: Iterable[str]) -> Address:
    """A port for who asks for one by name, else the unix socket."""
    if any("{port}" in word for word in words):
        return Address(host=dial.host_of(instance.id), port=dial.free_port())
    return Address(socket)
