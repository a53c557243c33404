"""The way back once a release's migrations have run: decided before anything is touched, by what a rehearsal showed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gate.results import Case

FACT = "way_back"
"""Name of the fact by which a check tells the pipeline."""


@dataclass(frozen=True)
class WayBack:
    """What a rollback can count on.

    ``lives``: the release that serves works on the new schema. ``leads_back``: the downgrades take schema and data
    back to where they were. ``pending``: there is a migration at all. ``pause`` and ``pause_back``: about how many
    seconds users wait while the schema is migrated, and while it is taken back; 0 where nobody has to wait.
    """

    lives: bool = True
    leads_back: bool = True
    pending: bool = False
    pause: float = 0.0
    pause_back: float = 0.0

    @staticmethod
    def of(facts: Mapping[str, Any] | None) -> WayBack:
        """What ``facts`` said; without any, that nothing stands in the way."""
        return WayBack(**facts) if facts else WayBack()

    @staticmethod
    def told(cases: Iterable[Case]) -> WayBack:
        """What the checks found out."""
        return WayBack.of(next((case.facts[FACT] for case in cases if FACT in case.facts), None))

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def forward_only(self) -> bool:
        """Whether there is none: what serves cannot live on the new schema, which cannot be taken back."""
        return not self.lives and not self.leads_back

    def __str__(self) -> str:
        if not self.pending:
            return "a switch of traffic; no migration is pending"
        if self.lives and self.leads_back:
            return "a switch of traffic; the schema is taken back only while no user has reached the release"
        if self.lives:
            return "a switch of traffic; the schema stays, for what serves lives on it"
        waits = f"users wait about {self.pause:.1f} s while it is migrated"
        if self.leads_back:
            return f"{waits}, and about {self.pause_back:.1f} s while the schema is taken back before the switch"
        return f"none: roll forward only, or restore the backup; {waits}"
