"""What a suite must know about the run it is part of; travels to the child process as a JSON file without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.releases import Release
from gate.results import Severity

CHECKS = "checks"
CANDIDATE = "candidate"
FRONT = "front"
RESTORED = "restored"
SYNTHETIC = "synthetic"
PHASES = (CHECKS, CANDIDATE, FRONT, RESTORED, SYNTHETIC)


@dataclass(frozen=True)
class Context:
    """Which release is judged, where, and in which phase.

    ``checks``: before anything is touched; ``candidate``: the new instance, without traffic; ``front``: the same
    behind the front door; ``restored``: the release that serves again after a rollback; ``synthetic``: traffic of the
    team's own for the candidate. ``known_digests`` is the
    digest each version had when it was first deployed here; ``only`` are the severities to run and ``cases`` the ids of
    the cases, empty for all. ``roll_forward``: why somebody signed that there may be no way back. ``place``: the file
    of a rehearsal's place, empty for the environment itself.
    """

    environment: str
    phase: str
    deployment: int | None = None
    release: Release | None = None
    stable: Release | None = None
    instance: str | None = None
    stable_instance: str | None = None
    allow_downgrade: bool = False
    roll_forward: str = ""
    known_digests: Mapping[str, str] = field(default_factory=dict)
    only: tuple[Severity, ...] = ()
    cases: tuple[str, ...] = ()
    place: str = ""

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f"{self.phase!r} is not a phase; the phases are {', '.join(PHASES)}")

    @property
    def through_the_front_door(self) -> bool:
        """Whether requests go the way users' requests go."""
        return self.phase in (FRONT, RESTORED)

    def to_json(self) -> str:
        fields = dict(vars(self))
        fields |= {"release": _release_out(self.release), "stable": _release_out(self.stable)}
        fields |= {"known_digests": dict(self.known_digests), "only": [str(item) for item in self.only]}
        return json.dumps(fields, indent=1)

    @staticmethod
    def from_json(text: str) -> Context:
        """The context that ``to_json`` wrote. Raises ValueError or TypeError for anything else."""
        fields = json.loads(text)
        fields |= {"release": _release_in(fields["release"]), "stable": _release_in(fields["stable"])}
        fields |= {"only": tuple(map(Severity, fields["only"])), "cases": tuple(fields["cases"])}
        return Context(**fields)


def _release_out(release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    openapi = str(release.openapi) if release.openapi else None
    return {**vars(release), "folder": str(release.folder), "openapi": openapi}


def _release_in(fields: dict[str, Any] | None) -> Release | None:
    if fields is None:
        return None
    openapi = Path(fields["openapi"]) if fields["openapi"] else None
    return Release(**{**fields, "folder": Path(fields["folder"]), "openapi": openapi})
