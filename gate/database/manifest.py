"""What is written down about a backup, beside it: which file it is, and what must come out of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gate.database.fingerprint import Sequenced, TableFingerprint
from gate.database.origin import Origin, Role
from gate.errors import DatabaseError
from gate.machine import durable

_FORMAT = 1


@dataclass(frozen=True)
class Backup:
    """One backup. ``tables``, ``sequences`` and ``schema``: what was live at ``taken_at``; ``seconds``: to make it."""

    id: str
    environment: str
    file: Path
    bytes: int
    sha256: str
    seconds: float
    taken_at: datetime
    schema_head: str | None
    tables: dict[str, TableFingerprint]
    sequences: dict[str, Sequenced]
    schema: list[str]
    origin: Origin
    wal: str | None = None
    """Where the server's write-ahead log stood; None where it was not written down."""
    kind: str = "dump"
    """dump, basebackup or command."""
    why: str = ""
    """Why it is of this kind, where the gate chose."""
    moved: dict[str, int] = field(default_factory=dict)
    """Tables that were written to while a base backup was made, and how many rows each had before."""
    superuser: str = ""
    """The cluster's first role: who may read everything in a private start of it."""
    cluster_bytes: int = 0
    verified_at: str = ""
    """When it was proven, ISO 8601; empty for one that never was."""


def path_of(backup: Backup) -> Path:
    """Where the manifest of a backup lies."""
    return backup.file.with_name(f"{backup.id}.json")


def write(backup: Backup) -> None:
    """Writes the manifest beside the backup, readable by its owner only."""
    document = asdict(backup) | {
        "format": _FORMAT,
        "file": backup.file.name,
        "taken_at": backup.taken_at.isoformat(),
    }
    write_json(path_of(backup), document, mode=0o600)


def read(file: Path) -> Backup:
    """The backup a manifest describes. Raises DatabaseError for one that cannot be read."""
    try:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if document.pop("format") != _FORMAT:
            raise DatabaseError(f"{file}: written by another version of the gate")
        origin = document["origin"]
        document.setdefault("verified_at", document["taken_at"])  # of an earlier gate, that did not write it down
        roles = tuple(Role(**role | {"member_of": tuple(role["member_of"])}) for role in origin["roles"])
        document |= {
            "file": file.with_name(document["file"]),
            "taken_at": datetime.fromisoformat(document["taken_at"]),
            "tables": {name: TableFingerprint(**table) for name, table in document["tables"].items()},
            "sequences": {name: Sequenced(**stands) for name, stands in document["sequences"].items()},
            "origin": Origin(**origin | {"extensions": tuple(origin["extensions"]), "roles": roles}),
        }
        return Backup(**document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise DatabaseError(f"{file}: not the manifest of a backup: {type(fault).__name__}: {fault}") from None


def write_json(file: Path, document: Mapping[str, Any], *, mode: int) -> None:
    """Replaces a file in one step: a reader sees the old or the new one, also after a power cut."""
    durable.write(file, json.dumps(document, indent=1), mode=mode)


def remove(path: Path) -> None:
    """Removes a file or a folder of a backup; none is fine."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
