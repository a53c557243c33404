"""A measured figure held against its rule, and the sentence that tells how it stands."""

from __future__ import annotations

import math

from gate.judging.limits import Limit, Rule, Unit, show
from gate.results import Decision, Measurement


def judged(rule: Rule, value: float, n: int, detail: str = "") -> Measurement:
    """``value`` from ``n`` samples under ``rule``. No sample at all is HOLD, and so is a value that is no number."""
    decision = rule.decide(value, n) if n > 0 else Decision.HOLD
    limit = _limit_text(rule, n, decision)
    if rule.dry_run and decision is not Decision.GO:
        detail = "; ".join(filter(None, (detail, f"dry run: would be {decision}, {limit}")))
        decision = Decision.GO
    return Measurement(rule.signal, value, str(rule.unit), n, limit, decision, detail)


def nothing_measured(text: str) -> Measurement:
    """The record of a case that could not tell: evidence from no sample, which is never a pass."""
    return Measurement("evidence", 0.0, str(Unit.COUNT), 0, "n >= 1", Decision.HOLD, text)


def sentence(measured: Measurement) -> str:
    """``response_time 4.02 s > 3 s (n = 24, POST /api/sales)``."""
    value = show(measured.value, Unit(measured.unit)) if math.isfinite(measured.value) else "is no number"
    notes = ", ".join(filter(None, (f"n = {measured.n}", measured.detail)))
    join = {Decision.ROLLBACK: " ", Decision.HOLD: ", wanted "}.get(measured.decision, ", within ")
    return f"{measured.signal} {value}{join}{measured.limit} ({notes})"


def _limit_text(rule: Rule, n: int, decision: Decision) -> str:
    """The limit that decided: the one that was crossed, the one not reached, or the one that holds."""
    if decision is Decision.ROLLBACK and rule.rollback is not None:
        return rule.rollback.text
    if decision is Decision.HOLD and n < max(1, rule.min_n):
        return f"n >= {max(1, rule.min_n)}"
    if rule.go is not None:
        return rule.go.text
    return f"not {_text(rule.rollback)}"


def _text(limit: Limit | None) -> str:
    return limit.text if limit is not None else "limited"
