"""The folders of started instances: ``rel/<id>/instance.json`` and what each service leaves beside it.

A rollback needs nothing but these folders, no database and no journal.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from gate.engines.base import Instance
from gate.errors import EngineError
from gate.supervise import Process
from gate.traffic import INSTANCE

FACTS = "instance.json"


class Instances:
    """Everything that was started below one folder, alive or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Instance]:
        """Every instance, oldest first."""
        found = [self.find(entry.parent.name) for entry in self.folder.glob(f"*/{FACTS}")]
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

    def services(self, instance_id: str) -> list[str]:
        """Names of the services the instance was started with."""
        facts = self._facts(instance_id)
        return list(facts["services"]) if facts is not None else []

    def remember(self, instance: Instance, services: list[str]) -> None:
        """Writes an instance down, before anything of it is started."""
        facts = {
            "version": instance.version,
            "digest": instance.digest,
            "commit": instance.commit,
            "folder": instance.folder,
            "started_at": instance.started_at.isoformat(),
            "services": services,
        }
        place = self.place(instance.id)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = place / f"{FACTS}.new"
        with new.open("w", encoding="utf-8") as stream:
            json.dump(facts, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(place / FACTS)

    def process(self, instance_id: str, service: str) -> Process:
        return Process(self.place(instance_id), service)

    def remove(self, instance_id: str) -> None:
        shutil.rmtree(self.place(instance_id), ignore_errors=True)

    def place(self, instance_id: str) -> Path:
        if not INSTANCE.fullmatch(instance_id):
            raise EngineError(f"{instance_id!r} is not the name of an instance, such as r7")
        return self.folder / instance_id

    def _facts(self, instance_id: str) -> dict[str, Any] | None:
        file = self.place(instance_id) / FACTS
        try:
            facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as fault:
            raise EngineError(
                f"{file}: cannot be read ({type(fault).__name__})",
                next_step=f"remove {file.parent} once nothing runs in it",
            ) from None
        return facts
