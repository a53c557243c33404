"""Where an environment keeps what its proxy reads for each request, and what its instances are: beside the proxy.

A *place* is a folder: of this machine, or of the host that serves (``gate.remote.door``). Names in it are relative,
with slashes. Every change is one rename, and lasts.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol

from gate.errors import EngineError
from gate.machine import durable, sockets

if TYPE_CHECKING:
    from gate.config import Environment

_SOCKET_ROOM = len("rel/r123456789x/") + 16 + len(".sock")


class Damaged(EngineError):  # noqa: N818 - what the file is
    """A file is there and cannot be read."""


class Place(Protocol):
    """One folder. Whatever cannot be read or changed is an EngineError, and what was there stays."""

    @property
    def server(self) -> str:
        """Whose it is; empty for this machine."""

    @property
    def folder(self) -> PurePath:
        """Its path as the proxy knows it."""

    @property
    def base(self) -> PurePath:
        """The same, by a path that leaves room for the names of unix sockets."""

    def make(self) -> None:
        """Makes it, with its folders ``traffic`` and ``rel``; nobody else may look into it."""

    def read(self, name: str) -> str | None:
        """What a file holds; None where there is none. Raises Damaged where it is no text, or may not be read."""

    def target(self, name: str) -> str | None:
        """The last part of the path a link leads to; None where there is no link of the name."""

    def write(self, name: str, text: str) -> None:
        """Replaces a file, or makes it and its folder."""

    def link(self, name: str, to: str) -> None:
        """Makes a link lead to a relative path."""

    def move(self, name: str, onto: str) -> None:
        """Renames one thing to another's name."""

    def remove(self, name: str) -> None:
        """Removes a file, a link or a folder with all in it; one that is gone is fine."""

    def holders(self, folder: str, file: str) -> list[str]:
        """The names of those folders in ``folder`` that hold a ``file``."""


class Folder:
    """A folder of this machine; implements ``Place``."""

    server = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def base(self) -> Path:
        return sockets.reachable(self.folder, _SOCKET_ROOM)

    def make(self) -> None:
        for name in ("traffic", "rel"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / name).chmod(0o700)

    def read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as fault:
            raise Damaged(f"{self.folder / name}: cannot be read ({type(fault).__name__})") from None

    def target(self, name: str) -> str | None:
        try:
            return (self.folder / name).readlink().name
        except OSError:
            return None

    def write(self, name: str, text: str) -> None:
        _lasting(self.folder / name, lambda file: durable.write(file, text, mode=0o600))

    def link(self, name: str, to: str) -> None:
        def linked(file: Path) -> None:
            new = file.with_name(f"{file.name}.new")
            new.unlink(missing_ok=True)
            new.symlink_to(to)
            new.replace(file)
            durable.sync(file.parent)

        _lasting(self.folder / name, linked)

    def move(self, name: str, onto: str) -> None:
        (self.folder / name).replace(self.folder / onto)
        durable.sync((self.folder / onto).parent)

    def remove(self, name: str) -> None:
        thing = self.folder / name
        if thing.is_dir() and not thing.is_symlink():
            shutil.rmtree(thing, ignore_errors=True)
        else:
            thing.unlink(missing_ok=True)

    def holders(self, folder: str, file: str) -> list[str]:
        return [found.parent.name for found in (self.folder / folder).glob(f"*/{file}")]


def of(environment: Environment) -> Place:
    """Where an environment's proxy looks; where there are several servers, all of them as one. Raises EngineError when
    a server does not answer."""
    places = each(environment)
    if len(places) == 1:
        return next(iter(places.values()))
    from gate.routing.places import Everywhere

    return Everywhere(places)


def each(environment: Environment) -> dict[str, Place]:
    """Where the proxy of each server looks, by the server's name; this machine has none."""
    from gate.config import DockerSettings

    if isinstance(environment.engine, DockerSettings) and environment.engine.remote:
        from gate.remote.door import Door

        return {server.named: Door(environment, server) for server in environment.engine.each}
    return {"": Folder(environment.state_folder)}


def _lasting(file: Path, make: Callable[[Path], None]) -> None:
    """Makes a file where its folder may not be yet. Raises EngineError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make(file)
    except OSError as fault:
        step = "free some disk space" if fault.errno in {errno.ENOSPC, errno.EDQUOT} else None
        raise EngineError(f"{file}: cannot be written: {fault.strerror}", next_step=step) from None
