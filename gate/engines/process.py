"""Releases as processes on this machine: each service on a unix socket of its own, the proxy in front."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gate import shell
from gate.config import Environment, Service
from gate.engines import probing, usage
from gate.engines.base import Drained, Endpoint, Facts, Host, Instance, ServiceState, Stopped, Usage
from gate.engines.instances import Instances
from gate.errors import EngineError, OperationFailed, ShellError, StackError
from gate.releases import Release
from gate.signals.log_files import LogFiles
from gate.stack import proxy
from gate.supervise import tail
from gate.traffic import INSTANCE_HEADER, TOKEN_HEADER, Traffic

_QUIET_READINGS = 3  # in a row: a request may be between the proxy and the service at one of them
_BETWEEN_READINGS = 0.05
_PROXY_WITHIN = 8.0  # seconds until a proxy that was started again answers
_PASSED_ON = ("PATH", "HOME", "LANG", "TZ")


class ProcessEngine:
    """Runs releases of one environment; implements ``gate.engines.base.Engine``."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._traffic = Traffic(environment)
        self._instances = Instances(environment.state_folder / "rel")
        self._meter = usage.Meter()
        self._machine = usage.Machine()

    def facts(self) -> Facts:
        """Versions of Python and Caddy, and whether the proxy answers."""
        engine_version = ".".join(map(str, sys.version_info[:3]))
        try:
            version = proxy.version()
        except (StackError, ShellError) as fault:
            return Facts("process", engine_version, "caddy", "", supported=False, detail=str(fault))
        unfit = proxy.fault(version)
        if unfit is not None:
            return Facts("process", engine_version, "caddy", version, supported=False, detail=unfit)
        if not proxy.Proxy(self._environment).answers():
            detail = f"the proxy does not answer: python deploy_gate.py {self._environment.name} up"
            return Facts("process", engine_version, "caddy", version, supported=False, detail=detail)
        return Facts("process", engine_version, "caddy", version, supported=True)

    def host(self) -> Host:
        return self._machine.read(self._environment.state_folder)

    def instances(self) -> list[Instance]:
        return [instance for instance in self._instances.all() if self._lives(instance.id)]

    def find(self, instance_id: str) -> Instance | None:
        return self._instances.find(instance_id)

    def stable(self) -> Instance | None:
        name = self._traffic.stable()
        if name is None:
            return None
        instance = self.find(name)
        if instance is None:
            raise EngineError(
                f"traffic goes to {name}, but {self._instances.place(name)} is gone",
                next_step=f"python deploy_gate.py {self._environment.name} up   writes it down again",
            )
        return instance

    def start(self, release: Release, instance_id: str) -> Instance:
        """Starts what does not run yet of an instance; an exclusive service waits for ``promote``.

        Called again, also after a crash or a restart of the machine, it starts what is missing, each service as it
        was described the first time: the environment file may have been written for another release since.
        Raises EngineError when a command cannot be started or the name belongs to another release.
        """
        known = self.find(instance_id)
        if known is not None and known.digest != release.digest:
            raise EngineError(f"{instance_id} is {known.version} ({known.digest}), not {release.version}")
        instance = known or Instance(
            id=instance_id,
            version=release.version,
            digest=release.digest,
            commit=release.commit,
            folder=str(release.folder),
            started_at=datetime.now(UTC),
        )
        self._traffic.prepare()
        if known is None:
            self._instances.remember(instance, self._environment.services, self._environment.redactor)
        serves = self._traffic.stable() == instance.id
        for name, service in self._services(instance.id).items():
            if serves or not service.exclusive:
                self._start_service(instance, name, service)
        return instance

    def health(self, instance: Instance) -> list[ServiceState]:
        """Each service's state; an exclusive service counts from the moment its instance is stable."""
        serves = self._traffic.stable() == instance.id
        return [
            self._state(instance, name, service)
            for name, service in self._services(instance.id).items()
            if serves or not service.exclusive
        ]

    def endpoint(self, instance: Instance | None) -> Endpoint:
        if instance is None:
            return Endpoint(self._environment.app.url)
        headers = {TOKEN_HEADER: self._traffic.token().reveal(), INSTANCE_HEADER: instance.id}
        host, _, port = self._environment.traffic.listen.rpartition(":")
        return Endpoint(f"http://{'127.0.0.1' if host in {'0.0.0.0', ''} else host}:{port}", headers)  # noqa: S104

    def promote(self, instance: Instance, share: float = 1.0) -> None:
        """Points traffic at an instance, refusing one with a service that does not live.

        With share 1 the exclusive services follow: the other instances' are stopped, then this one's are started.
        A proxy that has died is started again; EngineError when that fails, with traffic pointed at the instance.
        """
        if share <= 0:
            self._traffic.clear_canary()
            return
        services = self._services(instance.id)
        for name, service in services.items():
            if not service.exclusive and not self._instances.process(instance.id, name).alive():
                raise EngineError(
                    f"{instance.id} ({instance.version}) gets no traffic: its service {name} does not run"
                )
        if share < 1:
            self._traffic.set_canary(instance.id, share)
            self._require_proxy()
            return
        self._traffic.set_stable(instance.id)
        self._require_proxy()
        for other in self._instances.all():
            if other.id != instance.id:
                self._release_exclusive(other, services)
        for name, service in services.items():
            if service.exclusive:
                self._start_service(instance, name, service)

    def withdraw(self) -> None:
        self._traffic.set_stable(None)
        self._require_proxy()
        for instance in self._instances.all():
            self._release_exclusive(instance, {})

    def drain(self, instance: Instance, timeout: float) -> Drained:
        """Waits for three readings in a row without a request in flight, on any service that takes traffic.

        What a service says of itself (``in_flight``) and the open connections of its socket both count.
        """
        began = time.monotonic()
        readings: list[int | None] = []

        def quiet() -> bool:
            readings.append(self._in_flight(instance))
            return readings[-_QUIET_READINGS:] == [0] * _QUIET_READINGS

        complete = shell.wait_until(quiet, timeout=timeout, every=_BETWEEN_READINGS)
        return Drained(complete, time.monotonic() - began, 0 if complete else readings[-1])

    def stop(self, instance: Instance, grace: float | None = None) -> list[Stopped]:
        """SIGTERM to every service at once, then each one's grace period, then SIGKILL for its whole group."""
        began = time.monotonic()
        canary = self._traffic.canary()
        if canary is not None and canary[0] == instance.id:
            self._traffic.clear_canary()
        services = self._services(instance.id)
        processes = {name: self._instances.process(instance.id, name) for name in services}
        living = {name: process for name, process in processes.items() if process.held()}
        for process in living.values():
            process.send(signal.SIGTERM)
        stopped = []
        for name, process in living.items():
            limit = services[name].stop_grace if grace is None else grace
            try:
                ended = process.stop(max(0.0, began + limit - time.monotonic()), number=0)
            except OperationFailed as fault:
                raise EngineError(f"{instance.id}: {fault}") from None
            stopped.append(Stopped(name, ended.exit_code, time.monotonic() - began, ended.killed))
        for name in processes.keys() - living.keys():
            processes[name].kill()  # workers whose parent is gone
        for name in processes:
            self._traffic.socket(instance.id, name).unlink(missing_ok=True)
        return stopped

    def resources(self, instance: Instance) -> list[Usage]:
        found = []
        for name, service in self._services(instance.id).items():
            pid = self._instances.process(instance.id, name).pid()
            if pid is not None:
                cpu, memory = self._meter.read(pid)
                limits = service.limits
                found.append(
                    Usage(name, cpu, memory, limits.cpu if limits else None, limits.memory if limits else None)
                )
        return found

    def logs(self, instance: Instance, last: int = 200) -> list[str]:
        scrub = self._environment.redactor
        return [
            f"{name}: {scrub(line)}"
            for name in self._services(instance.id)
            for line in tail(self._instances.process(instance.id, name).log, last)
        ]

    def follow(self, instance: Instance) -> Callable[[], list[tuple[str, str]]]:
        logs = {name: self._instances.process(instance.id, name).log for name in self._services(instance.id)}
        return LogFiles(logs, self._environment.redactor)

    def rebuild(self, known: Mapping[str, Instance]) -> list[Instance]:
        named = self._traffic.stable()
        names = {*self._instances.damaged(), *([named] if named is not None else [])}
        found = [known[name] for name in sorted(names) if name in known and not self._instances.sound(name)]
        for instance in found:
            # Its services are taken from today's file: how they were started is lost.
            self._instances.remember(instance, self._environment.services, self._environment.redactor)
        return found

    def prune(self, keep: set[str]) -> list[str]:
        canary = self._traffic.canary()
        used = {self._traffic.stable(), canary[0] if canary else None, *keep}
        gone = [one.id for one in self._instances.all() if one.id not in used and not self._lives(one.id)]
        for name in gone:
            self._instances.remove(name)
        return gone

    def _require_proxy(self) -> None:
        """Traffic that was pointed somewhere gets there only through a proxy that answers."""
        try:
            proxy.Proxy(self._environment).restore(_PROXY_WITHIN)
        except (StackError, ShellError) as fault:
            raise EngineError(
                f"the front door does not answer and cannot be started again: {fault}",
                next_step=f"python deploy_gate.py {self._environment.name} up",
            ) from None

    def _release_exclusive(self, instance: Instance, wanted: Mapping[str, Service]) -> None:
        """Stops what an instance may not run beside one with the ``wanted`` services."""
        for name, service in self._services(instance.id).items():
            process = self._instances.process(instance.id, name)
            if (service.exclusive or (name in wanted and wanted[name].exclusive)) and process.held():
                process.stop(service.stop_grace)
                self._traffic.socket(instance.id, name).unlink(missing_ok=True)

    def _start_service(self, instance: Instance, name: str, service: Service) -> None:
        process = self._instances.process(instance.id, name)
        if process.alive():
            return
        process.kill()  # workers of a parent that is gone would still hold its resources
        socket = self._traffic.socket(instance.id, name)
        socket.unlink(missing_ok=True)
        values = {
            "python": sys.executable,
            "socket": str(socket),
            "folder": instance.folder,
            "root": str(self._environment.root),
            "state": str(self._environment.state_folder),
            "version": instance.version,
        }
        argv = [shell.fill(word, values) for word in service.command]
        env = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        env.setdefault("LANG", "C.UTF-8")
        # Programs of the gate's own virtual environment come first; a release's folder stays as it was built.
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        env |= {key: shell.fill(value.reveal(), values) for key, value in service.env.items()}
        try:
            process.start(argv, env=env, cwd=Path(instance.folder))
        except OperationFailed as fault:
            file, key = self._environment.file, f"[services.{name}] command"
            raise EngineError(
                f"{instance.id} ({instance.version}): {fault}", next_step=f"see {key} in {file}"
            ) from None

    def _state(self, instance: Instance, name: str, service: Service) -> ServiceState:
        process = self._instances.process(instance.id, name)
        if not process.alive():
            return ServiceState(name, alive=False, healthy=False, detail="not running", exit_code=process.exit_code())
        socket = self._traffic.socket(instance.id, name)
        for path in filter(None, (service.health, service.ready)):
            status, _ = probing.get(socket, path)
            if status != 200:
                what = "does not answer" if status == probing.NO_ANSWER else f"answers {status}"
                # It may have ended while it was asked.
                return ServiceState(
                    name, process.alive(), healthy=False, detail=f"{path} {what}", exit_code=process.exit_code()
                )
        return ServiceState(name, alive=True, healthy=True)

    def _in_flight(self, instance: Instance) -> int | None:
        """Requests in flight on all services that take traffic; None when one of them cannot be asked."""
        total = 0
        for name, service in self._services(instance.id).items():
            if service.route is None:
                continue
            process = self._instances.process(instance.id, name)
            if not process.alive():
                continue
            socket = self._traffic.socket(instance.id, name)
            seen = []
            if service.in_flight is not None:
                said = probing.field(socket, service.in_flight)
                seen.append(said if isinstance(said, int) else None)
            seen.append(probing.connections(socket, at_most=seen[0] if seen else None))
            known = [number for number in seen if number is not None]
            if len(known) < len(seen):
                if not process.alive():
                    continue
                return None
            total += max(known)
        return total

    def _services(self, instance_id: str) -> dict[str, Service]:
        return self._instances.services(instance_id, self._environment.services)

    def _lives(self, instance_id: str) -> bool:
        return any(self._instances.process(instance_id, name).alive() for name in self._services(instance_id))
