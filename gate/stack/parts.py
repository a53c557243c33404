"""What every part of the stack says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One server: whether it answers, which version its program is, and where it listens."""

    name: str
    alive: bool
    version: str
    detail: str
