"""What a running suite tells the gate, one JSON line per event: written by the plugin, read as the file grows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gate.redact import Redactor
from gate.results import Attempt, Case, CaseOutcome, Decision, Measurement, Severity

UNKNOWN = "unknown"
"""Category of a case whose process died before it could say one."""


@dataclass(frozen=True)
class Label:
    """What a case says about itself, known before it runs. Nothing known is critical."""

    category: str = UNKNOWN
    severity: Severity = Severity.CRITICAL
    title: str = ""
    corruption: bool = False


@dataclass(frozen=True)
class Planned:
    """The cases that will run, and their labels where known (not under xdist: its workers collect)."""

    ids: tuple[str, ...]
    labels: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True)
class Started:
    """A case began."""

    id: str


@dataclass(frozen=True)
class Broken:
    """The suite could not run as planned: a collection error, an internal error, a crash."""

    text: str


@dataclass(frozen=True)
class Finished:
    """pytest ended on its own; ``exit`` is its own exit code, which decides nothing."""

    exit: int


Event = Planned | Started | Case | Broken | Finished
_KINDS: dict[str, type] = {
    "planned": Planned,
    "started": Started,
    "case": Case,
    "broken": Broken,
    "finished": Finished,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_line(event: Event, redact: Redactor) -> str:
    """One line without its end, free of secrets."""
    return json.dumps({"event": _NAMES[type(event)], **redact.tree(asdict(event))})


def from_line(line: str) -> Event:
    """The event of a line. Raises ValueError, KeyError or TypeError for anything else."""
    fields = json.loads(line)
    kind = _KINDS[fields.pop("event")]
    if kind is Planned:
        labels = {case_id: _label(label) for case_id, label in fields["labels"].items()}
        return Planned(tuple(fields["ids"]), labels)
    if kind is Case:
        return _case(fields)
    event: Event = kind(**fields)
    return event


def severity_of(text: object) -> Severity:
    """The severity a text names; an unknown one is critical."""
    try:
        return Severity(str(text))
    except ValueError:
        return Severity.CRITICAL


def measurement(fields: Mapping[str, Any]) -> Measurement:
    return Measurement(**{**fields, "decision": Decision(fields["decision"])})


def _label(fields: Mapping[str, Any]) -> Label:
    return Label(**{**fields, "severity": severity_of(fields["severity"])})


def _case(fields: Mapping[str, Any]) -> Case:
    attempts = tuple(Attempt(**{**attempt, **_ended(attempt)}) for attempt in fields["attempts"])
    return Case(**{**fields, **_ended(fields), "severity": severity_of(fields["severity"]), "attempts": attempts})


def _ended(fields: Mapping[str, Any]) -> dict[str, Any]:
    """How a case, or one run of it, ended."""
    figures = tuple(map(measurement, fields["measurements"]))
    return {"outcome": CaseOutcome(fields["outcome"]), "measurements": figures}
