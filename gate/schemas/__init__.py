"""JSON Schemas of the documents people and tools write or read; ``python -m gate.schemas`` makes them again."""

from __future__ import annotations

import json
from pathlib import Path

from gate.report import document
from gate.schemas import environment

FOLDER = Path(__file__).parent


def texts() -> dict[str, str]:
    """Every schema file by name, as it should be now."""
    made = {"decision.schema.json": document.schema(), "environment.schema.json": environment.schema()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in made.items()}
