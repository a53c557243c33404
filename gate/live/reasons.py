"""How the live verdict says why: a rule, a value and the sentence a person reads."""

from __future__ import annotations

from gate.judging.limits import Rule, show
from gate.results import Decision, Reason


def reason(rule: Rule, decision: Decision, value: float, n: int, text: str) -> Reason:
    """``error_rate 19 % > 5 %: 5 of 26 requests failed``. A dry-run rule says what it would have decided, and is GO."""
    limit = _limit(rule, decision)
    told = f"{rule.signal} {show(value, rule.unit)}{_join(decision)}{limit}: {text}"
    if rule.dry_run and decision is not Decision.GO:
        decision, told = Decision.GO, f"dry run, would be {decision}: {told}"
    return Reason(rule.signal, decision, told, value, limit, n, rule.severity)


def unmeasured(rule: Rule, text: str, n: int = 0) -> Reason:
    """HOLD because a signal was not measured, or not enough of it (``n``): nothing measured is never a GO."""
    decision, told = Decision.HOLD, f"{rule.signal}: {text}"
    if rule.dry_run:
        decision, told = Decision.GO, f"dry run, would be {decision}: {told}"
    return Reason(rule.signal, decision, told, None, f"n >= {rule.min_n}", n, rule.severity)


def _limit(rule: Rule, decision: Decision) -> str:
    """The limit that was crossed, the one not reached, or the one that holds."""
    if decision is Decision.ROLLBACK and rule.rollback is not None:
        return rule.rollback.text
    if rule.go is not None:
        return rule.go.text
    return f"not {rule.rollback.text}" if rule.rollback is not None else ""


def _join(decision: Decision) -> str:
    return {Decision.ROLLBACK: " ", Decision.HOLD: ", wanted "}.get(decision, ", within ")
