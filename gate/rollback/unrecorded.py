"""Rolling back where the gate's own records cannot be used: by what is written down beside the instances, and what
still runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gate.config import Environment
from gate.engines.base import Engine, Instance
from gate.errors import EngineError, OperationFailed, Refused
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.releases import Release, damage, read, source
from gate.rollback.kept import Stay, Ways
from gate.routing import place

_NEEDS = 64 * 1024  # bytes


def store() -> Store:
    """Records of this run alone, in memory."""
    return Store(SqliteFile(None))


def room_in(folder: Path) -> bool:
    """Whether what a rollback writes beside the instances finds room: without it nothing can be started at all."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_NEEDS))
            file.flush()
    except OSError:
        return False
    return True


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

    Where one runs that was started after the one that serves, nobody has decided on it: it is what is rolled back, and
    the one that serves is the one to go to.

    ``fault``: why there are no records; ``command`` begins each command that helps. Raises Refused for a name that
    nothing proves, OperationFailed where it cannot be told, or not be deployed any more.
    """
    others = [item for item in engine.instances() if item.id != stable.id]
    if version in (None, stable.version) and any(_after(item, stable) for item in others):
        return _of(environment, [stable])
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
    others = [item for item in others if item.digest != stable.digest]
    if len({item.digest for item in others}) != 1:
        runs = f"these still run: {', '.join(item.version for item in others)}" if others else "no other one runs"
        raise OperationFailed(
            f"{fault}; without them it cannot be told which release served before {stable.version}{unknown}; {runs}",
            next_step=fault.next_step,
        )
    return _of(environment, others)


def _after(item: Instance, stable: Instance) -> bool:
    """Whether it was started by a later run."""
    numbers = [one.id.removeprefix("r") for one in (item, stable)]
    if all(number.isdecimal() for number in numbers):
        return int(numbers[0]) > int(numbers[1])
    return item.started_at > stable.started_at


def _of(environment: Environment, instances: list[Instance]) -> Release:
    """The release that runs; ``instances`` are all of one."""
    running = next((Path(item.folder) for item in instances if not damage(Path(item.folder))), None)
    return read(running) if running is not None else source(environment).get(instances[0].version)


def _as_kept(stay: Stay) -> Release | None:
    """The release as it was kept; None where its folder is gone, damaged, or holds another one by now."""
    folder = Path(stay.folder)
    if damage(folder):
        return None
    found = read(folder)
    return found if found.digest == stay.digest else None
