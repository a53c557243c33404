"""The signals the gate knows and the default limits on them; an environment's rows replace these one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from gate.judging.limits import Limit, Rule, Statistic, Unit
from gate.results import Severity

SIGNALS: dict[str, Unit] = {
    "smoke_failures": Unit.COUNT,
    "checker_errors": Unit.COUNT,
    "error_rate": Unit.SHARE,
    "gone_rate": Unit.SHARE,
    "response_time": Unit.SECONDS,
    "slower_than_stable": Unit.SHARE,
    "cpu": Unit.SHARE,
    "memory": Unit.SHARE,
    "disk": Unit.SHARE,
    "log_errors": Unit.COUNT,
    "log_error_rate": Unit.SHARE,
    "services_lost": Unit.COUNT,
    "invariants_broken": Unit.COUNT,
    "wrong_identity": Unit.COUNT,
    "migration_time": Unit.SECONDS,
    "copy_time": Unit.SECONDS,
}
"""Known signals and their units. ``response_time`` is a 95th percentile; cpu, memory and disk are shares of the limit
or the capacity. Of live traffic: ``gone_rate`` is the share of clients that left before the answer,
``slower_than_stable`` the share of requests slower than nearly all of stable's on that route, ``log_error_rate`` error
lines for each request; ``log_errors`` are error lines under smoke tests. Of a rehearsal: ``migration_time``, how long
the pending migrations took, and ``copy_time``, how long it took to dump the live database and restore it.
"""

STATISTICS: dict[str, tuple[Statistic, ...]] = {
    "error_rate": (Statistic.SEQUENTIAL, Statistic.SHARE),
    "response_time": (Statistic.P95,),
    "gone_rate": (Statistic.SEQUENTIAL,),
    "slower_than_stable": (Statistic.SEQUENTIAL,),
    "log_error_rate": (Statistic.SEQUENTIAL,),
    "cpu": (Statistic.SUSTAINED,),
    "memory": (Statistic.SUSTAINED,),
    "disk": (Statistic.VALUE,),
    "migration_time": (Statistic.VALUE,),
    "copy_time": (Statistic.VALUE,),
}
"""The statistics a signal can be judged by, the default first; counts are counted, a team's own signals are values."""


def statistics(signal: str) -> tuple[Statistic, ...]:
    """What a signal can be judged by, the default first."""
    return STATISTICS.get(signal, (Statistic.COUNT if signal in SIGNALS else Statistic.VALUE,))


def _rule(signal: str, go: str, rollback: str, *, min_n: int = 1, severity: Severity = Severity.HIGH) -> Rule:
    unit = SIGNALS[signal]
    limits = Limit.parse(go, unit), Limit.parse(rollback, unit)
    return Rule(signal, unit, *limits, min_n, severity, statistic=statistics(signal)[0])


DEFAULTS: tuple[Rule, ...] = (
    _rule("smoke_failures", "== 0", "> 2"),
    _rule("checker_errors", "== 0", "> 3"),
    _rule("error_rate", "<= 1%", "> 5%", min_n=100, severity=Severity.CRITICAL),
    _rule("gone_rate", "<= 5%", "> 20%", min_n=20),
    _rule("response_time", "< 1s", "> 3s", min_n=20),
    _rule("slower_than_stable", "<= 10%", "> 50%", min_n=20),
    _rule("cpu", "< 70%", "> 90%", min_n=3),
    _rule("memory", "< 70%", "> 90%", min_n=3),
    _rule("disk", "< 70%", "> 90%"),
    _rule("log_errors", "== 0", "> 0", severity=Severity.CRITICAL),
    _rule("log_error_rate", "<= 1%", "> 5%", severity=Severity.CRITICAL),
    _rule("services_lost", "== 0", "> 0", severity=Severity.CRITICAL),
    _rule("invariants_broken", "== 0", "> 0", severity=Severity.CRITICAL),
    _rule("wrong_identity", "== 0", "> 0", severity=Severity.CRITICAL),
    _rule("migration_time", "<= 60s", "> 1h"),
    _rule("copy_time", "<= 10m", "> 6h"),
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
    @property
    def statistic(self) -> Statistic | None: ...


def build(rows: Sequence[Row]) -> tuple[tuple[Rule, ...], list[str]]:
    """The rules in force and every fault found, each as ``[rules.N] key: what is wrong``."""
    rules = {rule.signal: rule for rule in DEFAULTS}
    problems: list[str] = []
    named: set[str] = set()
    for number, row in enumerate(rows):
        if row.signal in named:
            problems.append(f"[rules.{number}] signal = {row.signal!r}: has a row already; one row for one signal")
            continue
        named.add(row.signal)
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
    allowed = statistics(row.signal)
    if row.statistic not in (None, *allowed):
        names = ", ".join(allowed)
        raise ValueError(f"statistic = {str(row.statistic)!r}: {row.signal} is judged by {names}")
    unit = known or row.unit or Unit.COUNT
    # What a service uses may pass its limit, which not every engine enforces.
    top = 1.0 if unit is Unit.SHARE and row.signal not in ("cpu", "memory") else math.inf
    go = _limit("go", row.go, unit, top)
    rollback = _limit("rollback", row.rollback, unit, top)
    if go is not None and rollback is not None and _overlap(go, rollback):
        raise ValueError(f"go = {row.go!r} and rollback = {row.rollback!r} can both hold; no value may be both")
    if go is not None and rollback is not None and _backwards(go, rollback):
        raise ValueError(f"go = {row.go!r} and rollback = {row.rollback!r} look the same way: the better side is GO")
    statistic = row.statistic or allowed[0]
    if known is not None:
        _demand_less_is_better(row, go, rollback)
    if statistic is Statistic.SEQUENTIAL:
        _demand_testable(row, go, rollback)
    return Rule(row.signal, unit, go, rollback, row.min_n, row.severity, row.dry_run, statistic)


def _demand_less_is_better(row: Row, go: Limit | None, rollback: Limit | None) -> None:
    """Of every signal of the gate's own, less is better: a limit the other way round lets the worst pass."""
    if go is not None and ">" in go.op:
        raise ValueError(f"go = {row.go!r}: of {row.signal} less is better; write < or <=")
    if rollback is not None and ">" not in rollback.op:
        raise ValueError(f"rollback = {row.rollback!r}: of {row.signal} less is better; write > or >=")


def _demand_testable(row: Row, go: Limit | None, rollback: Limit | None) -> None:
    """A test of a share needs one that is tolerated, above 0, and one that must be caught, below 90 %."""
    hint = "a test on live traffic tells shares above 0% and below 90%"
    if Statistic.SHARE in statistics(row.signal):
        hint += f"; statistic = '{Statistic.SHARE}' compares the share as it stands"
    if go is not None and (go.value <= 0 or go.op == "=="):
        raise ValueError(f"go = {row.go!r}: {hint}")
    if rollback is not None and (not 0 < rollback.value < 0.9 or rollback.op == "=="):
        raise ValueError(f"rollback = {row.rollback!r}: {hint}")


def _limit(key: str, text: str | None, unit: Unit, top: float) -> Limit | None:
    if text is None:
        return None
    try:
        limit = Limit.parse(text, unit)
    except ValueError as fault:
        raise ValueError(f"{key} = {fault}") from None
    if not _possible(limit, top) or (unit is Unit.COUNT and limit.op == "==" and not limit.value.is_integer()):
        raise ValueError(f"{key} = {text!r}: no value of a {unit} can be that, so it would never hold")
    if key == "rollback" and _certain(limit, top):
        raise ValueError(f"{key} = {text!r}: every value of a {unit} is that, so nothing could ever pass")
    return limit


def _possible(limit: Limit, top: float) -> bool:
    """Whether some value from 0 to ``top`` holds."""
    return any(
        limit.holds(value) for value in (0.0, limit.value / 2, min(top, limit.value), min(top, limit.value * 2 + 1))
    )


def _certain(limit: Limit, top: float) -> bool:
    """Whether every value from 0 to ``top`` holds."""
    return limit.holds(0.0) and limit.holds(min(top, limit.value * 2 + 1))


def _backwards(go: Limit, rollback: Limit) -> bool:
    """Whether both limits are lower bounds, or both upper ones: then one of them stands on the wrong side."""
    return ("<" in go.op and "<" in rollback.op) or (">" in go.op and ">" in rollback.op)


def _overlap(go: Limit, rollback: Limit) -> bool:
    """Whether some value satisfies both: tried on the bounds, between them and beyond them."""
    low, high = sorted((go.value, rollback.value))
    tried = (low - 1, low, (low + high) / 2, high, high + 1)
    return any(go.holds(value) and rollback.holds(value) for value in tried)
