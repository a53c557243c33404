"""What a step is: an intent with the facts its undo needs, a do and an undo; ``recover`` may call both again."""

from __future__ import annotations

from gate.deployment.evidence import reason
from gate.deployment.run import Facts, Run
from gate.errors import OperationFailed
from gate.results import Reason


class StepFailed(OperationFailed):
    """A step did not reach its goal; ``reasons`` say why, in numbers where there are some."""

    def __init__(self, message: str, reasons: tuple[Reason, ...] = (), *, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.reasons = reasons or (reason("step", message),)


class Held(StepFailed):
    """A step could not tell: neither proven good nor proven bad. A person decides whether it is kept."""


class Step:
    """One step of the pipeline. The journal holds ``intend()`` before ``do`` runs, so ``undo`` always has it."""

    name = ""

    def intend(self, run: Run) -> Facts:
        """Facts, as plain JSON values, that the undo needs even if this process dies during ``do``."""
        return {}

    def do(self, run: Run, facts: Facts) -> str:
        """Does it; returns one line about it. Raises StepFailed or another OperationFailed."""
        raise NotImplementedError

    def undo(self, run: Run, facts: Facts) -> str:
        """Makes it as it was before, from any point ``do`` may have reached; returns one line. Raises GateError."""
        return ""
