"""Rolling back where the gate's own records cannot be used: by what the engine and the releases' folders tell."""

from __future__ import annotations

from pathlib import Path

from gate.config import Environment
from gate.engines.base import Engine, Instance
from gate.errors import OperationFailed
from gate.records.sqlite import SqliteFile
from gate.releases import Release, faults, read, source
from gate.store import Store


def store() -> Store:
    """Records of this run alone, in memory."""
    return Store(SqliteFile(None))


def target(
    environment: Environment,
    engine: Engine,
    stable: Instance,
    version: str | None,
    *,
    fault: OperationFailed,
    door: str,
) -> Release:
    """The release asked for, as it runs or as its source has it; else the only other one that still runs.

    ``fault``: why there are no records. Raises OperationFailed where it cannot be told, or not be deployed any more.
    """
    others = [item for item in engine.instances() if item.digest != stable.digest]
    if version is None:
        digests = {item.digest for item in others}
        if len(digests) != 1:
            runs = f"these still run: {', '.join(item.version for item in others)}" if others else "no other one runs"
            raise OperationFailed(
                f"{fault}; without them it cannot be told which release served before {stable.version}; {runs}",
                next_step=f"{fault.next_step}; or name it: {door} {environment.name} rollback --to V",
            )
        version = others[0].version
    for item in others:
        if item.version == version and not faults(Path(item.folder)):
            return read(Path(item.folder))
    return source(environment).get(version)
