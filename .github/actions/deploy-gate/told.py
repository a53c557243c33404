"""What a workflow is told: outputs of the step, the summary of the job, annotations. Texts of others stay texts."""

from __future__ import annotations

import html
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REASONS = 10
"""Reasons that are shown; the report has all of them."""
_LINE = 400


def outputs(values: Mapping[str, str]) -> None:
    """Writes the outputs of the step; a value that holds line ends cannot become an output of its own."""
    lines = []
    for name, value in values.items():
        end = secrets.token_hex(16)
        lines += [f"{name}<<{end}", " ".join(value.splitlines()), end]
    _append("GITHUB_OUTPUT", lines)


def heard() -> bool:
    """Whether a runner of GitHub reads what is printed, and takes lines with ``::`` for commands."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def hushed() -> Iterator[None]:
    """Within the block a runner takes no line for a command, whoever prints it, as long as it is standard error."""
    if not heard():
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", file=sys.stderr, flush=True)
    try:
        yield
    finally:  # on a line of its own, also after somebody whose last line has no end
        print(f"\n::{token}::", file=sys.stderr, flush=True)


def annotate(kind: str, title: str, text: str) -> None:
    """Prints an annotation, or a plain line where no runner of GitHub reads; ``kind`` is error, warning or notice.

    On standard error, as ``hushed``: a runner reads both streams, and keeps the order of each alone.
    """
    if not heard():
        print(f"{kind}: {title}: {text}", file=sys.stderr, flush=True)
        return
    name = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    print(f"::{kind} title={name}::{_escaped(text)}", file=sys.stderr, flush=True)


def summarised() -> int:
    """How much the job's summary holds, in bytes."""
    place = Path(os.environ.get("GITHUB_STEP_SUMMARY") or os.devnull)
    return place.stat().st_size if place.is_file() else 0


def summary(document: Mapping[str, Any], version: str) -> None:
    """Adds the outcome, what serves, why, and what to type next to the job's summary."""
    serves = document.get("stable") or {}
    rows = [
        ("environment", document.get("environment")),
        ("release", (document.get("release") or {}).get("version") or version),
        ("serves now", serves.get("version") or "nothing that is known"),
        ("deployment", document.get("deployment")),
        ("exit code", document["exit_code"]),
        *[("why", reason.get("text")) for reason in document["reasons"][:REASONS]],
    ]
    if len(document["reasons"]) > REASONS:
        rows.append(("", f"and {len(document['reasons']) - REASONS} more, in the report"))
    rows += [("to be signed", text) for text in document.get("owed") or ()]
    rows += [("next", document.get("next")), ("report", document.get("report"))]
    lines = [f"<h3>{_shown(document['outcome'])}</h3>", "<table>"]
    lines += [
        f"<tr><td>{name}</td><td>{_shown(value)}</td></tr>" for name, value in rows if value is not None and value != ""
    ]
    _append("GITHUB_STEP_SUMMARY", [*lines, "</table>", ""])


def _shown(value: object) -> str:
    """One line of text that is neither HTML nor, within a table of HTML, Markdown."""
    text = " ".join(str(value).split())
    return html.escape(text if len(text) <= _LINE else f"{text[:_LINE]}…")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _append(variable: str, lines: list[str]) -> None:
    name = os.environ.get(variable)
    if name:  # outside a runner there is nobody to tell
        with Path(name).open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
