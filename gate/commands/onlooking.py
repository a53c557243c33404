"""The command ``watch``: shows what serves until somebody ends it. On a terminal one picture, elsewhere lines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gate.judging.limits import Unit, show
from gate.machine import shell
from gate.redact import Redactor
from gate.watching.onlooker import Glance, Onlooker

EVERY = 1.0
"""Seconds between two looks, on a terminal and for machines."""
EVERY_LINE = 10.0
"""The same where lines are kept, as in the log of a CI."""
COLUMNS = ("release", "traffic", "requests/s", "errors", "p95", "cpu", "memory", "health")


def watch(onlooker: Onlooker, stream: IO[str], redact: Redactor, *, as_json: bool) -> None:
    """Shows one look after another; ends when nobody reads any more. Ctrl-C raises KeyboardInterrupt."""
    console = Console(file=stream, highlight=False)
    try:
        if console.is_terminal and not as_json:
            with Live(console=console, auto_refresh=False, transient=False) as live:
                _until_ended(lambda: live.update(picture(onlooker.look(), redact), refresh=True), EVERY)
        else:
            _until_ended(
                lambda: _line(stream, line(onlooker.look(), redact, as_json=as_json)), EVERY if as_json else EVERY_LINE
            )
    except BrokenPipeError:
        return
    finally:
        onlooker.close()


def line(glance: Glance, redact: Redactor, *, as_json: bool) -> str:
    """One look as one line: words, or a JSON document."""
    if as_json:
        return json.dumps(redact.tree(glance.document), separators=(",", ":"), ensure_ascii=False)
    return redact(str(glance))


def picture(glance: Glance, redact: Redactor) -> Table:
    """One look as a table."""
    table = Table(box=None, pad_edge=False, title=f"{glance.at:%H:%M:%S} UTC   Ctrl-C ends it", title_justify="left")
    for name in COLUMNS:
        table.add_column(name)
    for one in glance.releases:
        rate = one.requests / one.seconds if one.seconds else 0.0
        cells = [f"{one.version} ({one.instance})", f"{one.share:.0%}", f"{rate:.1f}"]
        units = (Unit.SHARE, Unit.SECONDS, Unit.SHARE, Unit.SHARE)
        figures = zip((one.error_rate, one.p95, one.cpu, one.memory), units, strict=True)
        cells += ["–" if value is None else show(value, unit) for value, unit in figures]
        health = Text(redact(one.health), style="" if one.healthy else "red")
        table.add_row(*map(Text, cells), health)
    if not glance.releases:
        table.add_row(Text("nothing serves", style="red"))
    if glance.unanswered:
        table.add_row(Text(f"{glance.unanswered} requests reached nobody", style="red"))
    for text in glance.owed:
        table.add_row(Text(redact(f"to be signed: {text}"), style="yellow"))
    if glance.fault:
        table.add_row(Text(redact(glance.fault), style="yellow"))
    return table


def _line(stream: IO[str], text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def _until_ended(act: Callable[[], None], every: float) -> None:
    def never() -> bool:
        act()
        return False

    shell.wait_until(never, timeout=math.inf, every=every)
