"""Rolling back where the gate's own records cannot be used: by what is written down beside the instances, and what
still runs."""

from __future__ import annotations

from pathlib import Path

from gate import place
from gate.config import Environment
from gate.engines.base import Engine, Instance
from gate.errors import EngineError, OperationFailed, Refused
from gate.records.sqlite import SqliteFile
from gate.releases import Release, faults, read, source
from gate.store import Store
from gate.ways import Stay, Ways


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
    command: str,
) -> Release:
    """The release that was kept before the one that serves, or the one named, if it is proven to have been kept here;
    without a name and without such a proof, the only other one that still runs.

    ``fault``: why there are no records; ``command`` begins each command that helps. Raises Refused for a name that
    nothing proves, OperationFailed where it cannot be told, or not be deployed any more.
    """
    try:
        ways, unknown = Ways(place.of(environment)).before(stable.digest), ""
    except EngineError as broken:
        ways, unknown = [], f" ({broken})"
    if version is not None:
        release = next((found for stay in ways if stay.version == version and (found := _as_kept(stay))), None)
        if release is None:
            proven = f"; of these it is proven: {', '.join(stay.version for stay in ways)}" if ways else ""
            raise Refused(
                f"{fault}; without them nothing proves that {version} was kept here before {stable.version} and lies "
                f"there as it was{unknown}{proven}",
                next_step=f"{command} rollback   needs no name; {fault.next_step}",
            )
        return release
    if ways and (release := _as_kept(ways[0])) is not None:
        return release
    others = [item for item in engine.instances() if item.digest != stable.digest]
    if len({item.digest for item in others}) != 1:
        runs = f"these still run: {', '.join(item.version for item in others)}" if others else "no other one runs"
        raise OperationFailed(
            f"{fault}; without them it cannot be told which release served before {stable.version}{unknown}; {runs}",
            next_step=fault.next_step,
        )
    running = next((Path(item.folder) for item in others if not faults(Path(item.folder))), None)
    return read(running) if running is not None else source(environment).get(others[0].version)


def _as_kept(stay: Stay) -> Release | None:
    """The release as it was kept; None where its folder is gone, damaged, or holds another one by now."""
    folder = Path(stay.folder)
    if faults(folder):
        return None
    found = read(folder)
    return found if found.digest == stay.digest else None
