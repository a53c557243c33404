"""One of several servers: what it is asked for beside the others, and what it must show before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from gate.config import Environment
from gate.engines.base import NOT_HERE, Endpoint, Engine, Instance, ServiceState
from gate.errors import EngineError
from gate.machine import shell

_SAME_SHARE = 1e-6


class OneHost(Engine, Protocol):
    """One server's engine, and what is asked of it beside the others."""

    def known(self) -> list[Instance]:
        """Every instance that was started and not pruned, alive or not."""

    def canary(self) -> tuple[str, float] | None:
        """The instance that takes a share of the traffic, and that share."""

    def front(self) -> Endpoint:
        """The way users' requests go from its front door on."""


Ask = Callable[[Endpoint, str], Any]
"""The value that ``PATH#FIELD`` names at an endpoint; None without one."""


class Proof:
    """Asks servers whether a release is there, healthy, itself, and reached by their users.

    ``patience``: seconds until whoever has the traffic must answer at a front door.
    """

    def __init__(self, environment: Environment, ask: Ask, patience: float) -> None:
        self._environment = environment
        self._ask = ask
        self._patience = patience

    def states(self, host: OneHost, instance: Instance) -> list[ServiceState]:
        """How an instance is on one server, where it may be missing, or another release."""
        found = host.find(instance.id)
        if found is None or found.digest != instance.digest:
            wrong = f"is {found.version} ({found.digest})" if found is not None else NOT_HERE
            return [
                ServiceState(name, alive=found is not None, healthy=False, detail=wrong)
                for name in self._environment.services
            ]
        states = host.health(instance)
        if not states:
            raise EngineError(f"no service of {instance.id} is known")
        if not all(state.healthy for state in states):
            return states
        strangers = self._strangers(host.endpoint(instance), instance)
        return [
            replace(state, healthy=state.service not in strangers, detail=strangers.get(state.service, state.detail))
            for state in states
        ]

    def _strangers(self, door: Endpoint, instance: Instance) -> dict[str, str]:
        """Services that do not name an instance's version where they are asked who they are, and what they say."""
        found = {}
        for name, service in self._environment.routed().items():
            said = self._ask(door, service.identity) if service.identity is not None else instance.version
            if said is None or str(said) != instance.version:
                told = "nothing" if said is None else str(said)
                found[name] = f"{service.identity} says {told}, expected {instance.version}"
        return found

    def give(self, host: OneHost, instance: Instance, share: float) -> None:
        """Points a share of one server's traffic at an instance, and looks whether it is so. Raises EngineError."""
        host.promote(instance, share)
        if share < 1:
            shared = host.canary()
            if shared is None or shared[0] != instance.id or abs(shared[1] - share) > _SAME_SHARE:
                raise EngineError(f"{share:.0%} of the traffic was to go to {instance.id}, it is {shared}")
            return
        self.demand(host, instance)
        strangers: dict[str, str] = {}

        def answers() -> bool:
            nonlocal strangers
            strangers = self._strangers(host.front(), instance)
            return not strangers

        if not shell.wait_until(answers, timeout=self._patience):
            raise EngineError(f"at the front door {'; '.join(strangers.values())}")

    @staticmethod
    def demand(host: OneHost, instance: Instance | None) -> None:
        serving = host.stable()
        if (serving and serving.id) != (instance and instance.id):
            told = serving.id if serving else "nothing"
            raise EngineError(f"traffic goes to {told}, expected {instance.id if instance else 'nothing'}")
