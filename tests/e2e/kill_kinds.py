"""What the kill matrix kills: runs of each kind, and the points of their journals at which somebody dies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A run to be killed: its command, the release that serves before it and the one that does once it was kept, how
    traffic is given, and the exit code that it ends with.

    ``interrupted_at``: the step at whose beginning it interrupts itself. ``held``: its deployment is held beforehand.
    """

    name: str
    command: tuple[str, ...]
    steps: str
    ends: int
    base: str = "1.0.0"
    target: str = "1.1.0"
    interrupted_at: str = ""
    held: bool = False

    @property
    def bad(self) -> bool:
        """Whether what it deploys fails users."""
        return "+" in self.target

    @property
    def restores(self) -> bool:
        """Whether it changes the database under the release that serves."""
        return self.command[0] == "restore"

    @property
    def pauses(self) -> bool:
        """Whether users wait while it migrates."""
        return self.target.startswith("1.2.0")


GOOD = Kind("good", ("deploy", "1.1.0"), '["50% 8s", "100% 6s"]', 0)
_FAILS = "1.1.0+fails-real-sales"
BAD = Kind("bad", ("deploy", _FAILS), '["100% 20s"]', 1, target=_FAILS)
STOPPED = Kind("stopped", ("deploy", "1.1.0"), '["50% 8s", "100% 20s"]', 130, interrupted_at="bake")
LATE = Kind("stopped late", ("deploy", "1.1.0"), '["50% 6s", "100% 4s"]', 130, interrupted_at="accept")
PAUSED = Kind("paused", ("deploy", "1.2.0"), '["100% 5s"]', 0, base="1.1.0", target="1.2.0")
_FAILS_AFTER = "1.2.0+fails-real-sales"
PAUSED_BAD = Kind("paused bad", ("deploy", _FAILS_AFTER), '["100% 20s"]', 1, base="1.1.0", target=_FAILS_AFTER)
BACK = Kind("rolled back", ("rollback", "1.0.0"), '["100% 5s"]', 1, base="1.1.0", target="1.0.0")
RESTORED = Kind("restored", ("restore", "latest"), '["100% 5s"]', 0, target="1.0.0")
KEPT = Kind("kept", ("keep",), '["50% 6s", "100% 4s"]', 0, held=True)
GIVEN_UP = Kind("given up", ("give-up",), '["50% 6s", "100% 4s"]', 1, held=True)
KINDS = {
    kind.name: kind
    for kind in (GOOD, BAD, STOPPED, LATE, PAUSED, PAUSED_BAD, BACK, RESTORED, KEPT, GIVEN_UP)
}  # fmt: skip
"""Every kind, by its name."""

PARTS = ("postgres", "cache", "proxy", "stable", "candidate")
"""What a deployment works with, and may lose."""


@dataclass(frozen=True)
class Point:
    """Where a gate dies: at a line of the journal, ``moment`` before, after or seconds after it was written."""

    kind: Kind
    number: int
    step: str
    event: str
    moment: str
    victim: str = "gate"

    @property
    def told(self) -> str:
        """``good: gate after migrate do``."""
        when = self.moment if self.moment in ("before", "after") else f"{float(self.moment):.2f} s after"
        return f"{self.kind.name}: {self.victim} {when} {self.step} {self.event}"
