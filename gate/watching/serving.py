"""What serves, as far as it can be told: that traffic points at a release does not mean that it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gate.engines.base import Engine, Instance
from gate.errors import OperationFailed


@dataclass(frozen=True)
class Serving:
    """The instance traffic points at (None: nothing, or unknown), and what keeps it from answering, if anything."""

    instance: Instance | None
    fault: str = ""
    unknown: bool = False

    @property
    def runs(self) -> bool:
        """Whether it runs and the proxy answers."""
        return self.instance is not None and not self.fault

    def document(self) -> dict[str, Any] | None:
        """The same for ``--json``: ``runs`` says whether it answers as well as has the traffic."""
        if self.instance is None:
            return None
        return {"version": self.instance.version, "digest": self.instance.digest, "runs": self.runs}

    def __str__(self) -> str:
        if self.unknown:
            return "what serves cannot be told"
        if self.instance is None:
            return "nothing serves"
        if self.fault:
            return f"{self.instance.version} has the traffic, but {self.fault}"
        return f"{self.instance.version} serves"


def look(engine: Engine) -> Serving:
    """Asks the engine now. Raises nothing: what cannot be told is ``unknown``, with the fault."""
    instance = None
    try:
        instance = engine.stable()
        if instance is None:
            return Serving(None)
        dead = [state.name for state in engine.health(instance) if not state.alive]
        if dead:
            return Serving(instance, f"its {', '.join(dead)} does not run")
        facts = engine.facts()
    except OperationFailed as fault:
        return Serving(instance, str(fault), unknown=True)
    return Serving(instance, "" if facts.supported else facts.detail)
