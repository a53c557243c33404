"""The folders of started instances: ``rel/<id>/instance.json`` and what each service leaves beside it.

A rollback needs nothing but these folders, no database and no journal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from gate.config import Limits, Service
from gate.engines.base import Instance
from gate.errors import EngineError
from gate.redact import Redactor
from gate.routing.dial import INSTANCE
from gate.routing.place import Damaged, Place

FACTS = "instance.json"
_NEEDED = ("version", "digest", "commit", "folder", "services")


class Instances:
    """Everything that was started in one place, alive or not."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def all(self) -> list[Instance]:
        """Every instance, oldest first."""
        found = [self.find(name) for name in self._place.holders("rel", FACTS)]
        return sorted((instance for instance in found if instance), key=lambda one: (one.started_at, one.id))

    def find(self, instance_id: str) -> Instance | None:
        """One instance; None when nothing of this name was ever started, or it was pruned. Raises EngineError."""
        facts = self._facts(instance_id)
        if facts is None:
            return None
        return Instance(
            id=instance_id,
            version=facts["version"],
            digest=facts["digest"],
            commit=facts["commit"],
            folder=facts["folder"],
            started_at=datetime.fromisoformat(facts["started_at"]),
        )

    def sound(self, instance_id: str) -> bool:
        """Whether what an instance is can be read. Raises EngineError when nobody can tell."""
        try:
            return self._facts(instance_id) is not None
        except Damaged:
            return False

    def damaged(self) -> list[str]:
        """Names of instances that were started and cannot be read any more."""
        return [name for name in sorted(self._place.holders("rel", FACTS)) if not self.sound(name)]

    def services(self, instance_id: str, today: Mapping[str, Service]) -> dict[str, Service]:
        """The services an instance was started with, each as it was written down then.

        Values of environment variables, and whatever was not written down, come from ``today``'s service of that name.
        """
        facts = self._facts(instance_id)
        recorded = facts["services"] if facts is not None else {}
        if isinstance(recorded, list):  # names alone, as earlier versions of the gate wrote them
            recorded = {name: {} for name in recorded}
        return {name: _service(known, today.get(name)) for name, known in recorded.items()}

    def remember(self, instance: Instance, services: Mapping[str, Service], redactor: Redactor) -> None:
        """Writes an instance down, before anything of it is started. What ``redactor`` would scrub is left out."""
        facts = {
            "version": instance.version,
            "digest": instance.digest,
            "commit": instance.commit,
            "folder": instance.folder,
            "started_at": instance.started_at.isoformat(),
            "services": {name: _record(service, redactor) for name, service in services.items()},
        }
        self._place.write(_facts_of(instance.id), json.dumps(facts, indent=1))

    def remove(self, instance_id: str) -> None:
        """Removes all that is kept of an instance."""
        self._place.remove(_folder_of(instance_id))

    def folder(self, instance_id: str) -> PurePath:
        """Where it is kept."""
        return self._place.folder / _folder_of(instance_id)

    def _facts(self, instance_id: str) -> dict[str, Any] | None:
        try:
            text = self._place.read(_facts_of(instance_id))
            if text is None:
                return None
            facts: dict[str, Any] = json.loads(text)
            for name in _NEEDED:
                facts[name]
            datetime.fromisoformat(facts["started_at"])
        except (Damaged, ValueError, LookupError, TypeError) as fault:
            folder = self.folder(instance_id)
            raise Damaged(
                f"{folder / FACTS}: cannot be read ({type(fault).__name__})",
                next_step="the command up writes it down again from the records of deployments; "
                f"without those, remove {folder} once nothing runs in it",
            ) from None
        return facts


def _folder_of(instance_id: str) -> str:
    """The folder of all that is kept of an instance, as a place names it. Raises EngineError."""
    if not INSTANCE.fullmatch(instance_id):
        raise EngineError(f"{instance_id!r} is not the name of an instance, such as r7")
    return f"rel/{instance_id}"


def _facts_of(instance_id: str) -> str:
    """The file of its facts. Raises EngineError."""
    return f"{_folder_of(instance_id)}/{FACTS}"


def _record(service: Service, redactor: Redactor) -> dict[str, Any]:
    """What it takes to run and judge a service; no secret is written down."""
    known = service.model_dump(mode="json", exclude={"env"})
    return {key: value for key, value in known.items() if redactor.tree(value) == value}


def _service(known: dict[str, Any], today: Service | None) -> Service:
    """A service as it was written down; it was validated when the environment file was read."""
    if today is None:
        today = Service()
    if known.get("limits") is not None:
        known = known | {"limits": Limits.model_construct(**known["limits"])}
    return today.model_copy(update={key: value for key, value in known.items() if key in Service.model_fields})
