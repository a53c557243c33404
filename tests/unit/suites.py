"""Suites made up for tests of pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from gate.judging.measurements import nothing_measured
from gate.results import Case, CaseOutcome, Category, Measurement, Severity, SuiteResult


def made_case(
    name: str,
    outcome: CaseOutcome = CaseOutcome.PASSED,
    severity: Severity = Severity.HIGH,
    *,
    category: str = Category.SECURITY,
    measurements: Sequence[Measurement] = (),
    message: str = "",
) -> Case:
    return Case(name, category, severity, outcome, 0.1, name, message, "", tuple(measurements))


def inconclusive(name: str, severity: Severity = Severity.HIGH) -> Case:
    """A case that ran and could not tell."""
    return made_case(name, CaseOutcome.WARNING, severity, measurements=[nothing_measured("no tool")])


def made_suite(*cases: Case, missing: Sequence[str] = (), stopped: str = "", broken: str = "") -> SuiteResult:
    planned = (*(case.id for case in cases), *missing)
    return SuiteResult("made up", planned, cases, 1.0, stopped, broken)
