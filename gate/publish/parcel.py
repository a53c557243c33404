"""What is published, and what a target is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Parcel:
    """The files of one deployment's evidence, by the names they get; ``commit`` of the release where it is known."""

    environment: str
    deployment: int
    version: str
    commit: str | None
    files: Mapping[str, Path]


class Target(Protocol):
    """A place for parcels. Publishing the same again replaces what is there."""

    def publish(self, parcel: Parcel) -> str:
        """Takes all files there; returns where a person finds them. Raises OperationFailed, OSError."""
        ...


KINDS = {".zip": "application/zip", ".html": "text/html; charset=utf-8"}
"""The media type of a published file by the end of its name."""
