"""The terminal view: a line per step as it ends, a live line for the step that runs; colour only on a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from gate.redact import Redactor
from gate.results import Case, CaseOutcome
from gate.terminal.runner import plain

NAME_WIDTH = 24
_UNLIMITED = 10_000
HEARTBEAT = 10.0
"""Seconds between progress lines where there is no terminal to redraw."""


_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but line feed and tab. They go before commands of a runner are looked for: none may hide one."""


class _Stream(Console):
    """A console that falls silent when nobody reads any more, instead of ending the process."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


_BAD = (CaseOutcome.FAILED, CaseOutcome.ERROR)


class Terminal:
    """Shows a run to a person, on a terminal or in a CI log."""

    def __init__(self, stream: IO[str], redactor: Redactor) -> None:
        self._console = _Stream(file=stream, highlight=False, soft_wrap=True)
        if not self._console.is_terminal:
            self._console.width = _UNLIMITED
        self._redact = redactor
        self._status: Status | None = None
        self._step = ""
        self._began = 0.0
        self._spoke = 0.0
        self._planned = 0
        self._reported: set[str] = set()

    def header(self, text: str) -> None:
        self._line(text, style="bold")
        self._line("")

    def step(self, name: str) -> None:
        self._step, self._planned, self._reported = name, 0, set()
        self._began = self._spoke = time.monotonic()
        if self._console.is_terminal:
            self._status = self._console.status(Text(self._shown(f" {name}")), spinner="dots")
            self._status.start()

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """Shows that something goes on, while it does."""
        self.step(name)
        try:
            yield
        finally:
            self._end_status()

    def progress(self, text: str) -> None:
        if not text:
            return
        if self._status is not None:
            self._status.update(Text(self._shown(f" {self._step:<{NAME_WIDTH}}{text}")))
        elif time.monotonic() - self._spoke >= HEARTBEAT:
            self._spoke = time.monotonic()
            self._line(f"   {self._step:<{NAME_WIDTH}}{text}  ({self._spoke - self._began:.0f} s)", style="dim")

    def planned(self, cases: int) -> None:
        self._planned = cases
        self.progress(f"0 of {cases}")

    def case(self, case: Case) -> None:
        self._reported.add(case.id)
        if case.outcome in _BAD:
            self._line(f"     {case.severity:<9}{case.category:<24}{case.title or case.id}", style="red")
            for line in case.message.splitlines()[:4]:
                self._line(f"              {line}", style="dim")
        self.progress(f"{len(self._reported)} of {self._planned}  {case.title or case.id}")

    def done(self, name: str, detail: str, seconds: float) -> None:
        self._end_status()
        self._outcome("✓", "green", name, detail, seconds)

    def failed(self, name: str, reasons: list[str], seconds: float) -> None:
        self._end_status()
        self._outcome("✗", "red", name, reasons[0] if reasons else "", seconds)
        for line in reasons[1:]:
            self._line(f"   {'':<{NAME_WIDTH}}{line}")

    def undoing(self, text: str) -> None:
        self._line(f"   ↶ {text}", style="yellow")

    def note(self, text: str) -> None:
        self._line(f"   ! {text}", style="yellow")

    def say(self, text: str, style: str = "") -> None:
        """A line of its own."""
        self._end_status()
        self._line(text, style)

    def command(self, text: str) -> None:
        """A line that the machine which shows this obeys: exactly as it is, but for secrets."""
        self._end_status()
        self._print(Text(self._redact(text)))

    def table(self, table: Table) -> None:
        """A table. Whole where no terminal's width limits it."""
        shown = Table(box=table.box, pad_edge=table.pad_edge)
        for column in table.columns:
            shown.add_column(column.header, justify=column.justify)
        for cells in zip(*(column.cells for column in table.columns), strict=True):
            shown.add_row(*(Text(self._shown(str(cell))) for cell in cells))
        with suppress(OSError, ValueError):
            self._console.print(shown, soft_wrap=False)

    def _outcome(self, mark: str, colour: str, name: str, detail: str, seconds: float) -> None:
        line = Text(f" {mark} ", style=colour)
        line.append(f"{self._shown(name):<{NAME_WIDTH}}", style="bold")
        line.append(self._shown(detail), style="default")
        line.append(f"  {seconds:.1f} s", style="dim")
        self._print(line)

    def _line(self, text: str, style: str = "") -> None:
        self._print(Text(self._shown(text), style=style))

    def _shown(self, text: str) -> str:
        """What may be shown of a text that others wrote: no secret, and nothing that a terminal or a runner obeys."""
        whole = _OBEYED.sub("", self._redact(text))
        return plain(self._redact(whole))  # again: what stood in the middle of a secret is gone now

    def _print(self, text: Text) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more: a closed pipe or terminal never stops a run
            self._console.print(text)

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
