"""Tells people that one of them is needed: a page where the command runs, and a message to those who are elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gate.config import Environment
from gate.records.store import Deployment

Alert = Callable[[str, Sequence[str], Deployment], None]
"""Tells people who are not here: what is wrong in one sentence, why, and with what."""
Dead = Callable[[Deployment, str, str], None]
"""Tells people who are not here of a run that died: which, what is known of it, and what to type."""


@dataclass(frozen=True)
class Pager:
    """``page`` takes each line of what somebody has to see now; ``alert`` and ``dead`` tell those who are elsewhere."""

    environment: Environment
    page: Callable[[str], None]
    alert: Alert | None = None
    dead: Dead | None = None

    def bad(
        self, title: str, reasons: Sequence[str], found: Deployment, *, why_not: str = "", next_step: str = ""
    ) -> None:
        """What monitoring found; ``why_not``: why it was not rolled back, where that was due."""
        unmended = [f"not rolled back: {why_not}"] if why_not else []
        if self.alert is not None:
            self.alert(title, [*reasons, *unmended], found)
        self._page(title, [f"why   {text}" for text in reasons] + unmended, next_step)

    def left(self, left: Deployment, text: str, *, died: bool, next_step: str) -> None:
        """A run that has no end, and nobody works at: it ``died``, or its undo failed."""
        title = "nothing is monitored until a run that was left has an end"
        if died and self.dead is not None:
            self.dead(left, text, next_step)
        elif not died and self.alert is not None:
            self.alert(title, [text], left)
        self._page(title, [f"why   {text}"], next_step)

    def _page(self, title: str, lines: Sequence[str], next_step: str) -> None:
        self.page(f"ALERT {self.environment.name}: {title}")
        for line in lines:
            self.page(f"  {line}")
        for role, contact in self.environment.contacts.items():
            self.page(f"  call  {role}: {contact}")
        self.page(f"  next  {next_step}")
