"""How one service of an instance runs on this machine: as a unit, be that a process or a container."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from gate.config import Service
from gate.engines.base import Instance
from gate.signals.lines import Lines


@dataclass(frozen=True)
class Ended:
    """How a unit ended: ``exit_code`` where it is known, ``killed`` when it outlived its grace period."""

    exit_code: int | None
    killed: bool


class Unit(Protocol):
    """One service of an instance. Every call may be repeated."""

    def start(self, instance: Instance, service: Service) -> None:
        """Starts it, and tells ``Traffic`` where it listens; one that lives is left alone. Raises EngineError."""

    def alive(self) -> bool:
        """Whether it runs."""

    def held(self) -> bool:
        """Whether anything of it still runs, such as workers whose parent is gone, or would be started again."""

    def exit_code(self) -> int | None:
        """How it ended, where that is known."""

    def trouble(self) -> str:
        """What its engine says is wrong with it, or was when it ended; empty when nothing is known."""

    def doubt(self) -> str:
        """What its engine cannot tell yet of one that runs; it counts where nobody else tells. Empty for nothing."""

    def remark(self) -> str:
        """What a person should know of one that is well: that it was not always. Empty for nothing."""

    def ask_to_stop(self) -> None:
        """The signal to end gracefully; one that has ended is fine."""

    def stop(self, grace: float) -> Ended:
        """Waits up to ``grace`` seconds for its end after ``ask_to_stop``, then kills it. Raises EngineError."""

    def kill(self) -> None:
        """Ends it, and all that belongs to it, at once. Raises EngineError."""

    def survive(self) -> None:
        """Its release is kept: from now on it is started again when it dies, where its engine does that."""

    def usage(self) -> tuple[float, int] | None:
        """Cores (since the last call) and bytes it uses; None when it does not run."""

    def tail(self, lines: int) -> list[str]:
        """The last lines it wrote, also after its end."""

    def remove(self) -> None:
        """Removes what is left of one that does not run."""


class Units(Protocol):
    """All units of one environment."""

    def unit(self, instance: str, service: str) -> Unit: ...

    def follow(self, instance: str, services: Collection[str]) -> Lines:
        """Lines the services of an instance write from now on, as ``Engine.follow`` returns them."""

    def version(self) -> str:
        """Of what runs the units. Raises EngineError when it does not answer."""

    def fault(self, version: str) -> str | None:
        """What is wrong with that version; None when nothing is."""
