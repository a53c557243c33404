"""Releases that the team's own commands deploy: a script, Ansible, kubectl, helm. What each must do: docs/commands.md.

The gate keeps one folder of facts an instance, as for its own; who has the traffic the team's command says.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import semver

from gate.config import CommandSettings, Environment
from gate.engines import probing, usage
from gate.engines.base import NOT_HERE, Drained, Endpoint, Facts, Host, Instance, ServiceState, Stopped, Usage
from gate.engines.known import Known
from gate.engines.later import Later, LaterLines
from gate.engines.probing import NO_ANSWER, status_at
from gate.engines.runner import Runner
from gate.errors import EngineError, OperationFailed
from gate.machine import shell
from gate.releases import Release
from gate.remote.commands import variables
from gate.routing import tls
from gate.routing.dial import INSTANCE
from gate.signals.lines import Lines

_ENDED = 3  # exit code of `health` for one that has ended for good
_ASKING = 30.0  # seconds at most for a command that changes nothing
_ASKED = 3  # times in a row
_LAST_LINES = 8


class CommandEngine:
    """Drives releases of one environment by commands; implements ``gate.engines.base.Engine``."""

    def __init__(self, environment: Environment, settings: CommandSettings) -> None:
        self._environment = environment
        self._settings = settings
        self._known = Known(environment)
        self._machine = usage.Machine()
        self.beside = settings.promote is not None
        self.owns = False

    def facts(self) -> Facts:
        """Whether the command that tells what serves can be run."""
        name = Path(self._settings.deploy[0]).name
        try:
            self._said()
        except EngineError as fault:
            return Facts("command", name, "the team's own", "", supported=False, detail=str(fault))
        return Facts("command", name, "the team's own", "", supported=True)

    def host(self) -> Host:
        """The machine that runs the gate; what runs the releases it does not know."""
        return self._machine.read(self._environment.state_folder)

    def instances(self) -> list[Instance]:
        serving = self.stable()
        if not self.beside:
            return [serving] if serving is not None else []
        return [one for one in self._known.all() if one == serving or any(state.alive for state in self.health(one))]

    def find(self, instance_id: str) -> Instance | None:
        return self._known.find(instance_id)

    def stable(self) -> Instance | None:
        """What the team's command says. A version that the gate did not deploy is taken over as ``r0``."""
        said = self._said()
        if not said:
            return None
        if INSTANCE.fullmatch(said):
            found = self.find(said)
            if found is None:
                raise EngineError(f"[engine] serves says {said}, which the gate has not started")
            return found
        return self._known.named(said, lambda one: one.version == said)

    def obstacles(self, release: Release) -> list[str]:  # noqa: ARG002 - the team's own commands know
        return []

    def start(self, release: Release, instance_id: str) -> Instance:
        """Writes an instance down and, where releases run side by side, starts it. Raises EngineError."""
        instance = self._known.started(release, instance_id)
        if self.beside:
            self._do("deploy", self._settings.deploy, instance)
        return instance

    def health(self, instance: Instance) -> list[ServiceState]:
        """As ``[engine] health`` says, the same for each service; or as their paths answer where the instance is."""
        names = list(self._environment.services)
        if not self.beside and instance != self.stable():
            return [ServiceState(name, alive=False, healthy=False, detail=NOT_HERE) for name in names]
        if self._settings.health is not None:
            ended = self._ask("health", self._settings.health, instance)
            detail = next(reversed((ended.out.strip() or ended.err.strip()).splitlines()), "is not healthy")
            healthy, alive = ended.code == 0, ended.code != _ENDED
            detail = "" if healthy else self._environment.redactor(detail)
            states = [ServiceState(name, alive, healthy, detail) for name in names]
        else:
            states = [self._asked(self.endpoint(instance), name) for name in names]
        if self.beside and instance == self.stable():
            return states  # beside a candidate with a share the front door answers as both
        return [self._as_itself(self.endpoint(instance), instance, state) for state in states]

    def endpoint(self, instance: Instance | None) -> Endpoint:
        """The front door for what serves, and for everything where releases replace each other."""
        where = self._settings.candidate
        if instance is None or where is None or instance == self.stable():
            return Endpoint(self._environment.app.url, ca=tls.authority(self._environment))
        values = {"version": instance.version, "instance": instance.id}
        headers = {name: shell.fill(value, values) for name, value in self._settings.headers.items()}
        return Endpoint(shell.fill(where, values), headers, tls.authority(self._environment))

    def promote(self, instance: Instance, share: float = 1.0) -> None:
        """Gives an instance traffic. One that served before another was deployed gets it by ``rollback``."""
        if share < 1 and not self._settings.shares:
            return  # all or nothing: it has nothing yet
        if share < 1:
            assert self._settings.promote is not None  # noqa: S101 - the file has no such steps otherwise
            self._do("promote", self._settings.promote, instance, percent=f"{max(share, 0) * 100:g}")
            return
        if self._settings.rollback is not None and self._known.older(instance):
            self._do("rollback", self._settings.rollback, instance)
        elif self._settings.promote is not None:
            self._do("promote", self._settings.promote, instance, percent="100")
        else:
            self._do("deploy", self._settings.deploy, instance)
        self._known.promoted(instance)

    def withdraw(self) -> None:
        said = self._said()
        if not said:
            return
        if self._settings.withdraw is None:
            raise EngineError(
                f"no command takes the traffic away, so {said} keeps it",
                next_step="end it by hand so that [engine] serves says nothing, then recover; or add [engine] withdraw",
            )
        self._do("withdraw", self._settings.withdraw, None)

    def drain(self, instance: Instance, timeout: float) -> Drained:  # noqa: ARG002 - the team's load balancer drains
        return Drained(complete=True, seconds=0.0, left=None, measured=False)

    def stop(self, instance: Instance, grace: float | None = None) -> list[Stopped]:  # noqa: ARG002 - the command's own
        """Ends an instance that runs beside what serves; where releases replace each other there is nothing to end.

        The command is also run for one that has ended by itself: it may have left something to clear away.
        """
        if self._settings.stop is None:
            return []
        if instance == self.stable():
            raise EngineError(f"{instance.id} has the traffic, so it is not stopped")
        lived = any(state.alive for state in self.health(instance))
        spent = self._do("stop", self._settings.stop, instance)
        return [Stopped(name, 0, spent, killed=False) for name in self._environment.services if lived]

    def resources(self, instance: Instance) -> list[Usage]:  # noqa: ARG002 - nothing here knows
        return []

    def logs(self, instance: Instance, last: int = 200) -> list[str]:
        since = instance.started_at.timestamp()
        return [f"{self._service()}: {line}" for line in self._lines(instance, since)[-last:]]

    def follow(self, instance: Instance) -> Lines:
        """Lines are counted, not placed: what several machines wrote comes in no order."""
        since, service = time.time(), self._service()
        only_new = any("{since}" in word for word in self._settings.logs)
        lines = LaterLines(lambda: self._lines(instance, since), all_new=only_new)
        return Later({service: lines}, self._environment.redactor)

    def rebuild(self, known: Mapping[str, Instance]) -> list[Instance]:
        return self._known.rebuild(known)

    def prune(self, keep: set[str]) -> list[str]:
        return self._known.prune({*keep, *(one.id for one in self.instances())})

    def settle(self) -> None:
        """Nothing: what runs it starts it again, or not."""

    def _asked(self, door: Endpoint, name: str) -> ServiceState:
        service = self._environment.services[name]
        for path in filter(None, (service.health, service.ready)):
            status = status_at(door, path)
            if status != 200:
                what = "does not answer" if status == NO_ANSWER else f"answers {status}"
                return ServiceState(name, alive=True, healthy=False, detail=f"{path} {what}")
        return ServiceState(name, alive=True, healthy=True)

    def _as_itself(self, door: Endpoint, instance: Instance, state: ServiceState) -> ServiceState:
        """The same state, unless another release answers there: a command may end before what it began has."""
        reference = self._environment.services[state.service].identity
        if not state.healthy or reference is None:
            return state
        for _ in range(_ASKED):  # there may be several behind one door
            said = probing.field_at(door, reference)
            if said != instance.version:
                detail = f"{self._environment.redactor(str(said))[:40]} answers, not {instance.version}"
                return replace(state, healthy=False, detail=detail)
        return state

    def _service(self) -> str:
        """What a line is told to be from: a command does not say."""
        return next(iter(self._environment.routed()))

    def _lines(self, instance: Instance, since: float) -> list[str]:
        ended = self._ask("logs", self._settings.logs, instance, since=str(int(since)))
        if ended.code:
            raise EngineError(f"[engine] logs: exit code {ended.code}{_tail(ended.err or ended.out)}")
        return ended.out.splitlines()

    def _said(self) -> str:
        """What serves, in the words of the team's command. Raises EngineError."""
        ended = self._ask("serves", self._settings.serves, None)
        if ended.code:
            raise EngineError(
                f"[engine] serves: exit code {ended.code}{_tail(ended.err or ended.out)}",
                next_step="it has to print a version, or nothing where none was deployed: "
                f"see {self._environment.file.name}",
            )
        said = ended.out.strip().removeprefix("v")
        if said and not (INSTANCE.fullmatch(said) or semver.Version.is_valid(said)):
            shown = self._environment.redactor(said)[:80]
            raise EngineError(f"[engine] serves: printed {shown!r}, which is neither a version nor an instance")
        return said

    def _ask(self, what: str, argv: list[str], instance: Instance | None, **more: str) -> shell.Finished:
        """Runs a command that changes nothing. Raises EngineError when it cannot be run, or takes too long."""
        try:
            return shell.run(
                self._filled(argv, instance, more),
                cwd=self._environment.root,
                env=variables(self._settings),
                timeout=min(_ASKING, self._settings.timeout),
                check=False,
            )
        except OperationFailed as fault:
            raise EngineError(f"[engine] {what}: {fault}", next_step=f"see {self._environment.file.name}") from None

    def _do(self, what: str, argv: list[str], instance: Instance | None, **more: str) -> float:
        """Runs a command that changes something, alone: one that a killed gate left is ended first.

        Returns the seconds it took. Raises EngineError unless it ends with 0 in time.
        """
        said, limit = f"[engine] {what}", self._settings.timeout
        try:
            ran = Runner(self._known.folder).run(
                self._filled(argv, instance, more),
                env=variables(self._settings),
                cwd=self._environment.root,
                timeout=limit,
            )
        except (OperationFailed, OSError) as fault:
            raise EngineError(f"{said}: {fault}", next_step=f"see {self._environment.file.name}") from None
        told = _tail("\n".join(ran.said))
        if ran.code is None:
            raise EngineError(f"{said}: did not end within {limit:g} s{told}")
        if ran.code != 0:
            raise EngineError(f"{said}: exit code {ran.code}{told}")
        return ran.seconds

    def _filled(self, argv: list[str], instance: Instance | None, more: Mapping[str, str]) -> list[str]:
        values = {"python": sys.executable, **more}
        if instance is not None:
            values |= {"version": instance.version, "digest": instance.digest, "instance": instance.id}
        return [shell.fill(word, values) for word in argv]


def _tail(text: str) -> str:
    last = "\n".join(text.strip().splitlines()[-_LAST_LINES:])
    return f": {last}" if last else ""
