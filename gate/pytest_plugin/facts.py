"""Facts that travel on each report as plain values, so that xdist's workers can send them to the controller."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from gate.errors import GateError, UsageError
from gate.pytest_plugin.labels import label
from gate.pytest_plugin.session import notes_of, told
from gate.redact import Redactor

ATTRIBUTE = "gate"
"""Name of the attribute of a report that holds the facts; pytest and xdist carry it along."""

Report = pytest.TestReport | pytest.CollectReport


def attach(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Puts a case's label, notes and message on its report, and makes its properties plain enough for xdist."""
    notes = notes_of(item)
    facts = {
        "label": asdict(label(item)),
        "notes": asdict(notes),
        "message": _message(call),
        "checker": _checker_broke(call),
    }
    setattr(report, ATTRIBUTE, _plain(facts))
    report.user_properties = [(str(name), _plain(value)) for name, value in report.user_properties]


def _plain(value: object) -> Any:
    """``value`` in builtins only: one StrEnum or Decimal would lose a whole run under xdist."""
    return json.loads(json.dumps(value, default=str))


def _message(call: pytest.CallInfo[None]) -> str:
    """One line about how a phase ended; empty when it passed."""
    if call.excinfo is None:
        return ""
    fault = call.excinfo.value
    text = told(fault) if isinstance(fault, GateError) else str(fault)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    plain = isinstance(fault, AssertionError | GateError | pytest.fail.Exception | pytest.skip.Exception)
    return first if plain and first else f"{type(fault).__name__}: {first}".removesuffix(": ")


def _checker_broke(call: pytest.CallInfo[None]) -> bool:
    """Whether an exception is the checker's own fault rather than a fault it saw.

    An assertion is what a case saw, wherever it stands. In the case itself every other exception counts as seen, too:
    a broken application breaks its callers in every way. Fixtures that fail, and a case that pytest warns of, do not.
    """
    if call.excinfo is None:
        return False
    fault = call.excinfo.value
    if isinstance(fault, AssertionError | pytest.fail.Exception):
        return False
    return call.when != "call" or isinstance(fault, UsageError | pytest.PytestWarning)


def scrub(report: Report, config: pytest.Config, redact: Redactor) -> None:
    """Takes every secret out of a report, in place, before any other plugin sees it."""
    if report.passed and not report.sections and not getattr(report, "user_properties", None):
        return
    fields = config.hook.pytest_report_to_serializable(config=config, report=report)
    clean = config.hook.pytest_report_from_serializable(config=config, data=redact.tree(fields))
    report.longrepr = clean.longrepr
    for name, value in vars(clean).items():
        if name != "result":  # of a collection: the nodes it found, which have no text form
            setattr(report, name, value)
