"""What is kept beside the front doors of several servers: the same on each, so that losing one loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TypeVar

from gate.errors import EngineError
from gate.routing.place import Damaged, Place

Found = TypeVar("Found")


class Everywhere:
    """The places of all servers by their names; implements ``gate.routing.place.Place``.

    Changed on each, and only then is it an error that one could not be. Read from all that answer: one that was lost
    during a change holds what is not true any more, so what they do not agree on is damaged, and told by nobody.
    """

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = dict(places)
        first = next(iter(self._places.values()))
        self.folder: PurePath = first.folder
        self.base: PurePath = first.base
        self.server = first.server

    def make(self) -> None:
        self._on_all(lambda place: place.make())

    def read(self, name: str) -> str | None:
        """Raises Damaged, too, where two servers do not hold the same."""
        return self._agreed(name, lambda place: place.read(name))

    def target(self, name: str) -> str | None:
        return self._agreed(name, lambda place: place.target(name))

    def write(self, name: str, text: str) -> None:
        self._on_all(lambda place: place.write(name, text))

    def link(self, name: str, to: str) -> None:
        self._on_all(lambda place: place.link(name, to))

    def move(self, name: str, onto: str) -> None:
        self._on_all(lambda place: place.move(name, onto))

    def remove(self, name: str) -> None:
        self._on_all(lambda place: place.remove(name))

    def holders(self, folder: str, file: str) -> list[str]:
        return self._agreed(folder, lambda place: sorted(place.holders(folder, file)))

    def _agreed(self, name: str, ask: Callable[[Place], Found]) -> Found:
        said: dict[str, Found] = {}
        faults: list[str] = []
        for server, place in self._places.items():
            try:
                said[server] = ask(place)
            except Damaged:
                raise
            except EngineError as fault:
                faults.append(f"{server}: {fault}")
        if not said:
            raise EngineError("; ".join(faults))
        first, *others = said.values()
        if any(other != first for other in others):
            raise Damaged(f"{name}: is not the same on {' and '.join(said)}")
        return first

    def _on_all(self, change: Callable[[Place], None]) -> None:
        faults = []
        for name, place in self._places.items():
            try:
                change(place)
            except EngineError as fault:
                faults.append(f"{name}: {fault}")
        if faults:
            raise EngineError("; ".join(faults))
