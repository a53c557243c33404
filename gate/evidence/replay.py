"""Judges a past deployment again, from its decision record alone, under the rules of today or of a file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gate.config import RuleRow
from gate.deployment.evidence import LIVE
from gate.errors import ConfigError, OperationFailed, UsageError
from gate.judging import rules as known_rules
from gate.judging import verdict
from gate.judging.limits import Rule
from gate.judging.measurements import judged
from gate.live import trace
from gate.live.observations import from_row
from gate.report import document
from gate.report.record import DecisionRecord, SuiteRecord, WatchRecord
from gate.results import Case, Decision, Reason, SuiteResult, Verdict

WHILE_HELD = "while held"
"""The phase of a watch over a release that waited for a person."""

_ROWS: TypeAdapter[list[RuleRow]] = TypeAdapter(list[RuleRow])


@dataclass(frozen=True)
class Phase:
    """One verdict of a deployment: as it was, and as the rules say now. None: nothing was decided."""

    name: str
    was: Decision | None
    now: Decision | None
    reasons: tuple[Reason, ...]
    at: float | None = None


def rules_of(file: Path) -> tuple[Rule, ...]:
    """The rules that the ``[[rules]]`` of a TOML file make of the defaults. Raises ConfigError naming file and key."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"{file}: cannot be read: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigError([f"{file}: is not TOML: {fault}"]) from None
    if not table.get("rules"):
        raise ConfigError(
            [f"{file}: has no [[rules]]"], next_step="write rows as environments/production.toml has them"
        )
    try:
        rows = _ROWS.validate_python(table["rules"])
    except ValidationError as fault:
        problems = [f"{file}: [rules.{'.'.join(map(str, one['loc']))}] {one['msg']}" for one in fault.errors()]
        raise ConfigError(problems) from None
    rules, problems = known_rules.build(rows)
    if problems:
        raise ConfigError([f"{file}: {problem}" for problem in problems])
    return rules


def read(file: Path) -> DecisionRecord:
    """The record in a file. Raises OperationFailed."""
    return document.from_json(document.read(file))


def replay(record: DecisionRecord, rules: Sequence[Rule]) -> list[Phase]:
    """Every verdict again, in order. Raises OperationFailed when the record holds none that rules decide."""
    was = {item.phase: item.decision for item in record.verdicts}
    phases = [_smoke(suite, was.get(suite.phase), rules) for suite in record.suites if suite.phase != "checks"]
    watches = record.traffic.watches if record.traffic else ()
    for watch, following in zip_longest(watches, watches[1:]):
        until = following.began_at if following is not None else record.ended_at
        # One verdict for each traffic step; the last one is the watch's.
        given = [item for item in record.verdicts if item.phase == LIVE and watch.began_at <= item.at <= until]
        phases.append(_live(watch, given[-1].decision if given else None, rules))
    if not phases:
        raise OperationFailed("this deployment was refused before anything was judged by rules")
    return phases


def _live(watch: WatchRecord, was: Decision | None, rules: Sequence[Rule]) -> Phase:
    try:
        seen = list(map(from_row, watch.observations))
    except ValueError as fault:
        raise OperationFailed(f"the record of the watch cannot be read: {fault}") from None
    again = trace.replay(seen, rules)
    if watch.held:  # a person decides then, unless the traffic proves it bad
        bad = again.standing.decision is Decision.ROLLBACK
        return Phase(
            WHILE_HELD, was, Decision.ROLLBACK if bad else None, again.standing.reasons if bad else (), again.at
        )
    return Phase(LIVE, was, again.standing.decision, again.standing.reasons, again.at)


def _smoke(suite: SuiteRecord, was: Decision | None, rules: Sequence[Rule]) -> Phase:
    cases = tuple(_again(case, rules) for case in suite.cases)
    planned = (*(case.id for case in cases), *suite.missing)
    result = SuiteResult(suite.name, planned, cases, suite.seconds, suite.stopped, suite.broken)
    found: Verdict = verdict.after(result, rules, least=suite.least, owed=suite.owed)
    return Phase(suite.phase, was, found.decision, found.reasons)


def _again(case: Case, rules: Sequence[Rule]) -> Case:
    """A case with its figures held against other rules; figures no rule is about stay as they were."""
    known = {rule.signal: rule for rule in rules}
    figures = tuple(
        judged(known[figure.signal], figure.value, figure.n, figure.detail) if figure.signal in known else figure
        for figure in case.measurements
    )
    return replace(case, measurements=figures)
