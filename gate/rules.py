"""The signals the gate knows and the default limits on them; an environment's rows replace these one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gate.limits import Limit, Rule, Unit
from gate.results import Severity

SIGNALS: dict[str, Unit] = {
    "smoke_failures": Unit.COUNT,
    "checker_errors": Unit.COUNT,
    "response_time": Unit.SECONDS,
    "cpu": Unit.SHARE,
    "memory": Unit.SHARE,
    "disk": Unit.SHARE,
    "log_errors": Unit.COUNT,
}
"""Known signals and their units. ``response_time`` is a 95th percentile; shares are of the limit or the capacity."""


def _rule(signal: str, go: str, rollback: str, *, min_n: int = 1, severity: Severity = Severity.HIGH) -> Rule:
    unit = SIGNALS[signal]
    return Rule(signal, unit, Limit.parse(go, unit), Limit.parse(rollback, unit), min_n, severity)


DEFAULTS: tuple[Rule, ...] = (
    _rule("smoke_failures", "== 0", "> 2"),
    _rule("checker_errors", "== 0", "> 3"),
    _rule("response_time", "< 1s", "> 3s", min_n=20),
    _rule("cpu", "< 70%", "> 90%", min_n=3),
    _rule("memory", "< 70%", "> 90%", min_n=3),
    _rule("disk", "< 70%", "> 90%"),
    _rule("log_errors", "== 0", "> 0", severity=Severity.CRITICAL),
)


class Row(Protocol):
    """A ``[[rules]]`` row of an environment file."""

    @property
    def signal(self) -> str: ...
    @property
    def go(self) -> str | None: ...
    @property
    def rollback(self) -> str | None: ...
    @property
    def unit(self) -> Unit | None: ...
    @property
    def min_n(self) -> int: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def dry_run(self) -> bool: ...


def build(rows: Sequence[Row]) -> tuple[tuple[Rule, ...], list[str]]:
    """The rules in force and every fault found, each as ``[rules.N] key: what is wrong``."""
    rules = {rule.signal: rule for rule in DEFAULTS}
    problems: list[str] = []
    for number, row in enumerate(rows):
        try:
            rules[row.signal] = _from_row(row)
        except ValueError as fault:
            problems.append(f"[rules.{number}] {fault}")
    return tuple(rules.values()), problems


def _from_row(row: Row) -> Rule:
    known = SIGNALS.get(row.signal)
    if known is None and row.unit is None:
        names = ", ".join(SIGNALS)
        raise ValueError(f"signal = {row.signal!r}: unknown; known are {names}; one of your own needs unit = …")
    if known is not None and row.unit not in (None, known):
        raise ValueError(f"unit = {str(row.unit)!r}: {row.signal} is measured in {known}")
    if row.go is None and row.rollback is None:
        raise ValueError(f"{row.signal}: needs go, rollback or both")
    unit = known or row.unit or Unit.COUNT
    go = _limit("go", row.go, unit)
    rollback = _limit("rollback", row.rollback, unit)
    if go is not None and rollback is not None and _overlap(go, rollback):
        raise ValueError(f"go = {row.go!r} and rollback = {row.rollback!r} can both hold; no value may be both")
    return Rule(row.signal, unit, go, rollback, row.min_n, row.severity, row.dry_run)


def _limit(key: str, text: str | None, unit: Unit) -> Limit | None:
    if text is None:
        return None
    try:
        return Limit.parse(text, unit)
    except ValueError as fault:
        raise ValueError(f"{key} = {fault}") from None


def _overlap(go: Limit, rollback: Limit) -> bool:
    """Whether some value satisfies both: tried on the bounds, between them and beyond them."""
    low, high = sorted((go.value, rollback.value))
    tried = (low - 1, low, (low + high) / 2, high, high + 1)
    return any(go.holds(value) and rollback.holds(value) for value in tried)
