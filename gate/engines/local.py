"""Releases on one host behind the gate's own proxy: what does not depend on how they run, and where."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from gate.config import Environment, Service
from gate.engines import probing, usage
from gate.engines.around import Around
from gate.engines.base import NOT_RUNNING, Drained, Endpoint, Facts, Host, Instance, ServiceState, Stopped, Usage
from gate.engines.instances import Instances
from gate.engines.units import Units
from gate.errors import EngineError, OperationFailed, ShellError, StackError
from gate.machine import shell
from gate.releases import Release
from gate.routing import tls
from gate.routing.place import Folder
from gate.routing.traffic import Traffic
from gate.signals.lines import Lines
from gate.stack import proxy

_QUIET_READINGS = 3  # in a row: a request may be between the proxy and the service at one of them
_BETWEEN_READINGS = 0.05
_PROXY_WITHIN = 8.0  # seconds until a proxy that was started again answers


class LocalEngine:
    """Runs releases of one environment as ``units``; implements ``gate.engines.base.Engine``."""

    beside = True
    owns = True

    def __init__(self, environment: Environment, units: Units, around: Around) -> None:
        self._environment = environment
        self._units = units
        self._traffic = around.traffic
        self._instances = around.instances
        self._reach = around.reach
        self._proxy = around.proxy
        self._host = around.host

    def facts(self) -> Facts:
        """Versions of what runs the units and of Caddy, and whether both answer."""
        engine, detail = "", None
        try:
            engine = self._units.version()
            detail = self._units.fault(engine)
        except EngineError as fault:
            detail = str(fault)
        version = ""
        try:
            version = self._proxy.version()
            detail = detail or proxy.fault(version)
        except (StackError, ShellError, EngineError) as fault:
            detail = detail or str(fault)
        if detail is None and not self._proxy.answers():
            detail = f"the proxy does not answer: python deploy_gate.py {self._environment.name} up"
        kind = self._environment.engine.kind
        return Facts(kind, engine, "caddy", version, supported=detail is None, detail=detail or "")

    def host(self) -> Host:
        return self._host()

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
                f"traffic goes to {name}, but {self._instances.folder(name)} is gone",
                next_step=f"python deploy_gate.py {self._environment.name} up   writes it down again",
            )
        return instance

    def known(self) -> list[Instance]:
        """Every instance that was started and not pruned, alive or not, oldest first."""
        return self._instances.all()

    def canary(self) -> tuple[str, float] | None:
        """The instance that takes a share of the traffic beside the stable one, and that share; None without one."""
        return self._traffic.canary()

    def front(self) -> Endpoint:
        """The way users' requests go from the front door on, by the gate's own door."""
        return Endpoint(self._reach.door(), {tls.TOKEN_HEADER: self._traffic.token().reveal()})

    def obstacles(self, release: Release) -> list[str]:  # noqa: ARG002 - whatever can be read can be started
        return []

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
                self._units.unit(instance.id, name).start(instance, service)
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
            return Endpoint(self._environment.app.url, ca=tls.authority(self._environment))
        return Endpoint(self._reach.door(), self._traffic.probe_headers(instance.id))

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
            if not service.exclusive and not self._answers(instance, name):
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
                self._units.unit(instance.id, name).start(instance, service)

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
        units = {name: self._units.unit(instance.id, name) for name in services}
        living = {name: unit for name, unit in units.items() if unit.held()}
        for unit in living.values():
            unit.ask_to_stop()
        stopped = []
        for name, unit in living.items():
            limit = services[name].stop_grace if grace is None else grace
            try:
                ended = unit.stop(max(0.0, began + limit - time.monotonic()))
            except OperationFailed as fault:
                raise EngineError(f"{instance.id}: {fault}") from None
            stopped.append(Stopped(name, ended.exit_code, time.monotonic() - began, ended.killed))
        for name in units.keys() - living.keys():
            units[name].kill()  # workers whose parent is gone
        for name in units:
            self._traffic.hang_up(instance.id, name)
        return stopped

    def resources(self, instance: Instance) -> list[Usage]:
        found = []
        for name, service in self._services(instance.id).items():
            used = self._units.unit(instance.id, name).usage()
            if used is not None:
                cpu, memory = used
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
            for line in self._units.unit(instance.id, name).tail(last)
        ]

    def follow(self, instance: Instance) -> Lines:
        return self._units.follow(instance.id, list(self._services(instance.id)))

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
            for service in self._services(name):
                self._units.unit(name, service).remove()
            self._instances.remove(name)
        return gone

    def settle(self) -> None:
        serves = self._traffic.stable()
        for service in self._services(serves) if serves is not None and self.find(serves) is not None else {}:
            self._units.unit(serves or "", service).survive()

    def _answers(self, instance: Instance, service: str) -> bool:
        """Whether a service runs; where whoever runs it cannot tell, whether it listens: traffic goes by the proxy."""
        try:
            return self._units.unit(instance.id, service).alive()
        except EngineError:
            return self._reach.listens(self._traffic.address(instance.id, service))

    def _require_proxy(self) -> None:
        """Traffic that was pointed somewhere gets there only through a proxy that answers."""
        try:
            self._proxy.restore(_PROXY_WITHIN)
        except (StackError, ShellError) as fault:
            raise EngineError(
                f"the front door does not answer and cannot be started again: {fault}",
                next_step=f"python deploy_gate.py {self._environment.name} up",
            ) from None

    def _release_exclusive(self, instance: Instance, wanted: Mapping[str, Service]) -> None:
        """Stops what an instance may not run beside one with the ``wanted`` services."""
        for name, service in self._services(instance.id).items():
            unit = self._units.unit(instance.id, name)
            if (service.exclusive or (name in wanted and wanted[name].exclusive)) and unit.held():
                unit.ask_to_stop()
                unit.stop(service.stop_grace)
                self._traffic.hang_up(instance.id, name)

    def _state(self, instance: Instance, name: str, service: Service) -> ServiceState:
        unit = self._units.unit(instance.id, name)
        if not unit.alive():
            why = unit.trouble() or NOT_RUNNING
            return ServiceState(name, alive=False, healthy=False, detail=why, exit_code=unit.exit_code())
        address = self._traffic.address(instance.id, name)
        for path in filter(None, (service.health, service.ready)):
            status, _ = self._reach.get(address, path)
            if status != 200:
                what = "does not answer" if status == probing.NO_ANSWER else f"answers {status}"
                # It may have ended while it was asked.
                return ServiceState(
                    name, unit.alive(), healthy=False, detail=f"{path} {what}", exit_code=unit.exit_code()
                )
        asked = service.health is not None or service.ready is not None
        trouble = unit.trouble() or ("" if asked else unit.doubt())
        return ServiceState(name, alive=True, healthy=not trouble, detail=trouble or unit.remark())

    def _in_flight(self, instance: Instance) -> int | None:
        """Requests in flight on all services that take traffic; None when one of them cannot be asked."""
        total = 0
        for name, service in self._services(instance.id).items():
            if service.route is None:
                continue
            unit = self._units.unit(instance.id, name)
            if not unit.alive():
                continue
            address = self._traffic.address(instance.id, name)
            seen = []
            if service.in_flight is not None:
                said = probing.field(self._reach, address, service.in_flight)
                seen.append(said if isinstance(said, int) else None)
            seen.append(self._reach.connections(address, at_most=seen[0] if seen else None))
            known = [number for number in seen if number is not None]
            if len(known) < len(seen):
                if not unit.alive():
                    continue
                return None
            total += max(known)
        return total

    def _services(self, instance_id: str) -> dict[str, Service]:
        return self._instances.services(instance_id, self._environment.services)

    def _lives(self, instance_id: str) -> bool:
        """Whether anything of it runs, or would be started again by itself."""
        return any(self._units.unit(instance_id, name).held() for name in self._services(instance_id))


def here(environment: Environment) -> Around:
    """What surrounds releases on this machine."""
    place, machine = Folder(environment.state_folder), usage.Machine()
    return Around(
        traffic=Traffic(environment),
        instances=Instances(place),
        reach=probing.Here(environment),
        proxy=proxy.Proxy(environment),
        host=lambda: machine.read(environment.state_folder),
    )
