"""What the plugin and the fixtures share during one pytest session: environment, context, and each case's notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from gate.config import Environment
from gate.errors import GateError
from gate.judging.measurements import nothing_measured
from gate.redact import Redactor
from gate.results import Measurement
from gate.suites.context import Context


@dataclass
class Notes:
    """What a case said while it ran, besides passing or failing."""

    warnings: list[str] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    not_applicable: bool = False

    def cannot_tell(self, text: str) -> None:
        self.measurements.append(nothing_measured(text))
        self.warnings.append(f"cannot tell: {text}")


class Session:
    """One run of pytest: the environment it is about and, once asked for, the context."""

    def __init__(self, config: pytest.Config, environment: Environment, given: Context | None) -> None:
        self._config = config
        self.environment = environment
        self.given = given
        self.redact: Redactor = environment.redactor
        self.smoke = given is not None and given.phase != "checks"
        """Whether this run is about a running release; set from what was collected when the suite runs alone."""

    @property
    def root(self) -> Path:
        return self._config.rootpath

    @cached_property
    def context(self) -> Context:
        """Given by the gate, or found out when the suite runs alone. Raises GateError when it cannot be."""
        if self.given is not None:
            return self.given
        from gate.pytest_plugin import alone

        return alone.context(self.environment, smoke=self.smoke, version=self._config.getoption("--release"))

    @cached_property
    def engine(self) -> Any:
        from gate import engines

        return engines.create(self.environment)


SESSION = pytest.StashKey[Session]()
NOTES = pytest.StashKey[Notes]()


def session_of(config: pytest.Config) -> Session:
    return config.stash[SESSION]


def notes_of(item: pytest.Item) -> Notes:
    return item.stash.setdefault(NOTES, Notes())


def told(fault: GateError) -> str:
    """An error with the next command to type, as a case's message."""
    if not fault.next_step:
        return str(fault)
    between = "\n" if "\n" in str(fault) else ". "  # a sentence, or the output of a command
    return f"{fault}{between}Next: {fault.next_step}"
