"""What surrounds the releases of one host: traffic, their facts, the proxy, and a way to ask a service something.

It is this machine's own (``gate.engines.local.here``), or a server's (``gate.remote``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gate.engines.base import Host
from gate.engines.instances import Instances
from gate.routing.dial import Address
from gate.routing.traffic import Traffic


class Reach(Protocol):
    """Asks services where they listen."""

    def get(self, address: Address, path: str) -> tuple[int, Any]:
        """Status and JSON body (None when it is none) of a GET; status 0 when nobody answers in time."""

    def listens(self, address: Address) -> bool:
        """Whether somebody accepts connections there."""

    def connections(self, address: Address, at_most: int | None = None) -> int | None:
        """How many connections a service has; None where nobody can tell.

        The proxy keeps none open between requests, so this is the number of requests in flight. A connection that has
        just ended may be seen for a moment: with more than ``at_most`` they are counted again.
        """

    def free_port(self) -> int:
        """A port that nobody listens on, on any address: applications may listen on all of them."""

    def door(self) -> str:
        """URL of the door by which a release without traffic is reached, with ``Traffic.probe_headers``."""


class FrontDoor(Protocol):
    """The proxy that users come by."""

    def version(self) -> str:
        """Of its program. Raises StackError, ShellError or EngineError."""

    def answers(self) -> bool:
        """Whether it runs and answers."""

    def restore(self, timeout: float) -> None:
        """Starts one that has died or hangs again, as it was. Raises StackError or EngineError."""


@dataclass(frozen=True)
class Around:
    """One host, as the engine sees it. ``host`` tells how loaded it is."""

    traffic: Traffic
    instances: Instances
    reach: Reach
    proxy: FrontDoor
    host: Callable[[], Host]
