"""The runner of GitHub Actions: it obeys lines in a log, so what we say to it and what others say are kept apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_COMMAND = re.compile(r"^(\s*)::|##\[", re.M)


def runs_here(environ: Mapping[str, str]) -> bool:
    """Whether a job of GitHub Actions started us."""
    return environ.get("GITHUB_ACTIONS") == "true"


@dataclass(frozen=True)
class Annotation:
    """One command for the runner; ``level`` is error, warning or notice, ``file`` what it stands beside."""

    level: str
    title: str
    text: str
    file: str = ""

    def __str__(self) -> str:
        """``::error file=checks/test_x.py,title=…::…``, with everything escaped that would end it early."""
        told = {"file": self.file, "title": self.title}
        properties = ",".join(f"{name}={_property(value)}" for name, value in told.items() if value)
        return f"::{self.level} {properties}::{_data(self.text)}"


def plain(text: str) -> str:
    """Text in which the runner finds no command, whatever a case or a log line says."""
    return _COMMAND.sub(lambda found: "## [" if found[1] is None else f"{found[1]}: :", text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
