"""Instances of an engine that the gate does not run itself: what it started, and which of them had the traffic last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from gate.config import Environment
from gate.engines.base import Instance
from gate.engines.instances import Instances
from gate.errors import EngineError, OperationFailed
from gate.releases import Release, read
from gate.routing.place import Folder

UNKNOWN = "unknown"
"""The digest of what nobody can tell it of."""
_FOUND = ("r0", "r0x")  # what served before the gate deployed anything here; another that somebody deployed past it


class Known:
    """The instances of one environment, each with a folder of facts."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._instances = Instances(Folder(environment.state_folder))
        self.folder = environment.state_folder / "engine"

    def all(self) -> list[Instance]:
        return self._instances.all()

    def find(self, instance_id: str) -> Instance | None:
        return self._instances.find(instance_id)

    def started(self, release: Release, instance_id: str) -> Instance:
        """Writes down that a release is started under a name. Raises EngineError when another one has it."""
        found = self.find(instance_id)
        if found is not None and found.digest != release.digest:
            raise EngineError(f"{instance_id} is {found.version} ({found.digest}), not {release.version}")
        if found is not None:
            return found
        instance = Instance(
            id=instance_id,
            version=release.version,
            digest=release.digest,
            commit=release.commit,
            folder=str(release.folder),
            started_at=datetime.now(UTC),
        )
        self._remember(instance)
        return instance

    def named(self, version: str, fits: Callable[[Instance], bool], digest: str = "") -> Instance:
        """The instance that fits; of several the one that had the traffic last, else the oldest, for a younger one may
        be a candidate. Where none fits, ``version`` is taken over, with its ``digest`` if that is known."""
        fitting = [one for one in self.all() if fits(one)]
        if not fitting:
            return self._taken_over(version, digest)
        last = self._last()
        return next((one for one in fitting if one.id == last), fitting[0])

    def older(self, instance: Instance) -> bool:
        """Whether another was started after it: then giving it the traffic is a way back."""
        return any(one.started_at > instance.started_at for one in self.all())

    def promoted(self, instance: Instance) -> None:
        """Remembers who was given the traffic. Raises OSError for a full disk."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.folder / "promoted.new"
        new.write_text(instance.id, encoding="utf-8")
        new.replace(self.folder / "promoted")

    def rebuild(self, recorded: Mapping[str, Instance]) -> list[Instance]:
        """Writes down again what is damaged and ``recorded``."""
        found = [recorded[name] for name in self._instances.damaged() if name in recorded]
        for instance in found:
            self._remember(instance)
        return found

    def prune(self, keep: set[str]) -> list[str]:
        """Forgets all others; returns their ids."""
        gone = [one.id for one in self.all() if one.id not in keep]
        for name in gone:
            self._instances.remove(name)
        return gone

    def _remember(self, instance: Instance) -> None:
        self._instances.remember(instance, self._environment.services, self._environment.redactor)

    def _taken_over(self, version: str, found: str) -> Instance:
        folder = self._environment.root / self._environment.releases.source / version
        digest, commit = found or UNKNOWN, None
        with suppress(OperationFailed):
            release = read(folder)
            digest, commit = found or release.digest, release.commit
        first = self.find(_FOUND[0])
        name = _FOUND[0] if first is None else _FOUND[1]
        instance = Instance(name, version, digest, commit, str(folder), datetime.fromtimestamp(0, UTC))
        self._remember(instance)
        return instance

    def _last(self) -> str:
        try:
            return (self.folder / "promoted").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
