"""Several servers asked at once: what each said, and why the others did not, by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from gate.errors import EngineError, OperationFailed
from gate.signals.lines import Lines

_LINES_WITHIN = 1.0  # seconds until the others' lines are handed out without those of a server that does not answer

Found = TypeVar("Found")


@dataclass(frozen=True)
class Answers(Generic[Found]):
    """What each server said, and why the others did not."""

    said: Mapping[str, Found]
    faults: Mapping[str, OperationFailed]

    def all(self) -> Mapping[str, Found]:
        """What all of them said. Raises EngineError with the names of those that did not."""
        if self.faults:
            raise fault_of(self.faults)
        return self.said

    def some(self) -> Mapping[str, Found]:
        """What those said that answer. Raises EngineError where none does."""
        return self.said if self.said else self.all()


def asked(names: Mapping[str, object], act: Callable[[str], Found]) -> Answers[Found]:
    """Asks all servers at once; one that fails, or takes its time to, keeps none of the others from it."""
    with ThreadPoolExecutor(len(names), thread_name_prefix="server") as pool:
        begun = {name: pool.submit(act, name) for name in names}
    said: dict[str, Found] = {}
    faults: dict[str, OperationFailed] = {}
    for name, future in begun.items():
        try:
            said[name] = future.result()
        except OperationFailed as fault:
            faults[name] = fault
    return Answers(said, faults)


class Followed:
    """New lines of all servers. What some wrote is kept for the next call while another does not answer."""

    def __init__(self, follows: Mapping[str, Lines]) -> None:
        self._follows = follows
        self._pool = ThreadPoolExecutor(len(follows), thread_name_prefix="lines")
        self._asked: dict[str, Future[list[tuple[str, str]]]] = {}
        self._lines: list[tuple[str, str]] = []
        self.read_since = 0.0

    def __call__(self) -> list[tuple[str, str]]:
        """Raises EngineError that names each server whose lines are not among them."""
        for name, follow in self._follows.items():
            if name not in self._asked:
                self._asked[name] = self._pool.submit(follow)
        wait(self._asked.values(), timeout=_LINES_WITHIN)
        faults: dict[str, OperationFailed] = {}
        for name, asked in list(self._asked.items()):
            if not asked.done():
                faults[name] = EngineError("does not answer")
                continue
            del self._asked[name]
            try:
                self._lines += asked.result()
            except OperationFailed as fault:
                faults[name] = fault
        if faults:
            raise fault_of(faults)
        told, self._lines = self._lines, []
        self.read_since = min(follow.read_since for follow in self._follows.values())
        return told


def fault_of(faults: Mapping[str, OperationFailed]) -> EngineError:
    """One error that names each server."""
    step = next((fault.next_step for fault in faults.values() if fault.next_step), None)
    return EngineError("; ".join(f"{name}: {fault}" for name, fault in faults.items()), next_step=step)
