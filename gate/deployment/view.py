"""What a person watches while a deployment runs: the events, whoever shows them."""

from __future__ import annotations

from typing import Protocol

from gate.results import Case


class View(Protocol):
    """Told what happens, as it happens. A view never raises and never changes an outcome."""

    def header(self, text: str) -> None:
        """One line about the whole run."""

    def step(self, name: str) -> None:
        """A step begins."""

    def progress(self, text: str) -> None:
        """How far the present step is."""

    def planned(self, cases: int) -> None:
        """The suite of the present step has this many cases."""

    def case(self, case: Case) -> None:
        """A case of the present suite ended."""

    def done(self, name: str, detail: str, seconds: float) -> None:
        """A step ended well."""

    def failed(self, name: str, reasons: list[str], seconds: float) -> None:
        """A step failed."""

    def undoing(self, text: str) -> None:
        """The gate undoes something."""

    def note(self, text: str) -> None:
        """Something a person should know."""


class Silent:
    """Shows nothing."""

    def header(self, text: str) -> None: ...
    def step(self, name: str) -> None: ...
    def progress(self, text: str) -> None: ...
    def planned(self, cases: int) -> None: ...
    def case(self, case: Case) -> None: ...
    def done(self, name: str, detail: str, seconds: float) -> None: ...
    def failed(self, name: str, reasons: list[str], seconds: float) -> None: ...
    def undoing(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
