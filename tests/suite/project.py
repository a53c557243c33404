"""A made-up project in a folder of its own: the real pytest.ini, conftest.py and fixtures, and cases a test writes."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gate import environments
from gate.config import Environment
from gate.machine import shell
from gate.results import Case, CaseOutcome, SuiteResult, Verdict
from gate.suites import suite
from gate.suites.context import Context

HOUSE = Path(__file__).parents[2]
SECRET = "Zq8-correct-horse+staple/7"

_ENVIRONMENT = """
app = { name = "made-up", url = "http://127.0.0.1:1" }
releases = { source = "releases" }
engine = { kind = "process" }
traffic = { listen = "127.0.0.1:18999" }
checks = { folders = ["checks"], timeout = "60s" }
smoke = { folders = ["smoke"], timeout = "60s" }
options = { key = "${MADE_UP_KEY}" }

[services.web]
command = ["true"]
route = "/"
health = "/health"
identity = "/version#version"
"""


class Project:
    """Cases in ``checks/`` or ``smoke/``, run by the gate (``run``) or by hand (``by_hand``)."""

    def __init__(self, root: Path, secret: str = SECRET) -> None:
        self.root = root
        self.secret = secret
        for name in ("pytest.ini", "conftest.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        for name in ("checks", "smoke"):
            (root / name).mkdir()
        self.write("environments/here.toml", _ENVIRONMENT)

    def write(self, name: str, text: str) -> Project:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return self

    def cases(self, text: str, name: str = "checks/test_made_up.py") -> Project:
        """A file of cases, all of one category."""
        head = 'import pytest\npytestmark = pytest.mark.category("Security")\n'
        return self.write(name, head + textwrap.dedent(text))

    def configure(self, text: str) -> Project:
        """Adds to the environment file."""
        return self.write("environments/here.toml", _ENVIRONMENT + textwrap.dedent(text))

    @property
    def environment(self) -> Environment:
        return environments.load("here", self.root, {"MADE_UP_KEY": self.secret})

    @property
    def out(self) -> Path:
        return self.root / "out"

    def run(
        self,
        phase: str = "checks",
        *,
        decide: Callable[[SuiteResult], Verdict | None] = lambda _: None,
        on_case: Callable[[Case], None] = lambda _: None,
        on_planned: Callable[[int], None] = lambda _: None,
        **context: Any,
    ) -> SuiteResult:
        """Runs the cases of a phase as the gate does."""
        environment = self.environment
        folders = (environment.checks if phase == "checks" else environment.smoke).folders
        told = Context("here", phase, **context)
        return suite.run(environment, told, folders, self.out, decide=decide, on_case=on_case, on_planned=on_planned)

    def by_hand(self, *arguments: str, timeout: float = 60) -> shell.Finished:
        """Runs ``pytest`` as a person does."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        return shell.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.root,
            env={**kept, "MADE_UP_KEY": self.secret, "PYTHONPATH": str(HOUSE)},
            timeout=timeout,
            check=False,
        )


def outcomes(result: SuiteResult) -> dict[str, CaseOutcome]:
    """Outcome by the bare name of the case."""
    return {case.id.partition("::")[2]: case.outcome for case in result.cases}


def case(result: SuiteResult, name: str) -> Case:
    return next(case for case in result.cases if case.id.endswith(f"::{name}"))
