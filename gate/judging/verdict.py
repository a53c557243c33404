"""The verdict: a suite's record and the rules in, one decision with its reasons out. Pure.

Before a deployment the answer is GO or NO-GO; on a running release it is GO, HOLD or ROLLBACK. The worst reason wins,
whatever the order of the cases, and what was not measured is never a GO. A flaky case counts as what its second run
came to: its first failure is in its record and weighs nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from gate.judging import rules as known_rules
from gate.judging.limits import Rule
from gate.judging.measurements import sentence
from gate.judging.readiness import Readiness
from gate.results import Case, CaseOutcome, Decision, Measurement, Reason, Severity, SuiteResult, Tally, Verdict

_SHOWN = 5
_LONGEST = 160
_ORDER = tuple(Decision)


def before(suite: SuiteResult, readiness: Readiness, minimum: float, *, least: int | None = None) -> Verdict:
    """GO or NO-GO on the checks: no critical failure, a readiness of at least ``minimum``, and full coverage.

    ``least`` is how many cases ran for the last accepted release: fewer are NO-GO.
    """
    reasons = [_failure(case, Decision.NO_GO) for case in _critical(suite.of(CaseOutcome.FAILED))]
    if readiness.total < minimum:
        text = f"readiness {_score(readiness.total)} of 100 is below the minimum of {minimum:g}"
        reasons.append(Reason("readiness", Decision.NO_GO, text, readiness.total, f">= {minimum:g}", len(suite.cases)))
    errors = suite.of(CaseOutcome.ERROR)
    if errors:
        text = f"the checker itself broke in {_counted(errors)}"
        reasons.append(Reason("checker_errors", Decision.NO_GO, text, len(errors), "== 0", len(suite.cases)))
    reasons += _coverage(suite, Decision.NO_GO, least)
    return _verdict(reasons, suite)


def after(
    suite: SuiteResult, rules: Sequence[Rule], *, least: int | None = None, owed: Collection[str] = ()
) -> Verdict:
    """GO, HOLD or ROLLBACK on the smoke tests of a running release, by the environment's rules.

    ``least`` is how many cases ran for the last accepted release: fewer are HOLD. So are signals that are ``owed`` and
    that no case measured: a rule whose signal is misspelt would otherwise pass for ever.
    """
    reasons = [*_failures(suite, rules), *_measured(suite.cases), *_errors(suite, rules)]
    if not (suite.stopped and _has_rollback(reasons)):  # stopped on a decision: what did not run is no news
        reasons += _coverage(suite, Decision.HOLD, least)
        seen = {figure.signal for case in suite.cases for figure in case.measurements}
        reasons += [
            Reason(name, Decision.HOLD, f"{name}: a rule is about it, and no case measured it", None, "n >= 1", 0)
            for name in sorted(set(owed) - seen)
        ]
    return _verdict(reasons, suite)


def decided(suite: SuiteResult, rules: Sequence[Rule]) -> Verdict | None:
    """The verdict on a suite that still runs, once no later result can change it; None until then."""
    reasons = [*_failures(suite, rules), *_measured(suite.cases)]
    final = [reason for reason in reasons if reason.decision is Decision.ROLLBACK]
    return Verdict(Decision.ROLLBACK, tuple(final)) if final else None


def measured(suite: SuiteResult) -> int:
    """How many cases measured something: they passed or failed, and could tell which."""
    seen = suite.of(CaseOutcome.PASSED, CaseOutcome.WARNING, CaseOutcome.FAILED)
    return len([case for case in seen if not case.inconclusive])


def counted(suite: SuiteResult) -> str:
    """``23 of 24 cases passed, 1 could not tell``."""
    return str(_tally(suite))


def _tally(suite: SuiteResult) -> Tally:
    return Tally.of(suite.cases, len(suite.missing))


def _failures(suite: SuiteResult, rules: Sequence[Rule]) -> list[Reason]:
    """Failed cases: any critical one is ROLLBACK, the number of all of them has a rule."""
    failed = suite.of(CaseOutcome.FAILED)
    found = [
        _failure(case, Decision.ROLLBACK)
        for case in _critical(failed)
        if not any(figure.decision is Decision.ROLLBACK for figure in case.measurements)  # its figure is the reason
    ]
    rule = _rule(rules, "smoke_failures")
    count = len(failed)
    decision = rule.decide(count, max(count, measured(suite)))
    if count and decision is not Decision.GO:
        limit = rule.rollback if decision is Decision.ROLLBACK else rule.go
        against = f" {limit.text}" if limit is not None and decision is Decision.ROLLBACK else ""
        text = f"{count}{against} of {len(suite.planned)} cases failed: {_named(failed)}"
        if rule.dry_run:
            decision, text = Decision.GO, f"dry run: {text}"
        found.append(Reason(rule.signal, decision, text, count, limit.text if limit else "", len(suite.planned)))
    return found


def _measured(cases: Iterable[Case]) -> list[Reason]:
    """Figures that crossed a limit or stand between two."""
    return [
        Reason(
            signal=figure.signal,
            decision=figure.decision,
            text=f"{sentence(figure)}: {case.title or case.id}{_confirmed(case)}",
            value=figure.value,
            limit=figure.limit,
            n=figure.n,
            severity=case.severity,
            case=case.id,
        )
        for case in cases
        for figure in case.measurements
        if figure.decision is not Decision.GO and figure.n > 0
    ]


def _errors(suite: SuiteResult, rules: Sequence[Rule]) -> list[Reason]:
    """A checker that broke saw nothing, so it never rolls back; it holds, and on a critical case always."""
    errors = suite.of(CaseOutcome.ERROR)
    rule = _rule(rules, "checker_errors")
    decision = rule.decide(len(errors), max(1, len(errors)))
    if not errors or (decision is Decision.GO and not _critical(errors)):
        return []
    limit = rule.rollback if decision is Decision.ROLLBACK else rule.go
    against = f", {len(errors)} {limit.text}" if limit is not None and decision is Decision.ROLLBACK else ""
    text = f"the checker itself broke in {_counted(errors)}{against}"
    return [Reason(rule.signal, Decision.HOLD, text, len(errors), limit.text if limit else "", len(suite.planned))]


def _coverage(suite: SuiteResult, decision: Decision, least: int | None) -> list[Reason]:
    """Everything that should have been measured and was not."""
    ran = len(suite.cases) - len(suite.of(CaseOutcome.NOT_APPLICABLE))
    skipped = suite.of(CaseOutcome.SKIPPED)
    blind = [case for case in _critical(suite.cases) if case.inconclusive and case.outcome is CaseOutcome.WARNING]
    missing = suite.missing
    found: list[tuple[str, float]] = []
    if suite.broken:
        found.append((f"the suite did not run to its end: {suite.broken}", 0))
    if not suite.planned:
        found.append(("no case was collected, so nothing was measured", 0))
    elif measured(suite) == 0:
        found.append((f"none of {len(suite.planned)} cases measured anything", 0))
    if missing:
        names = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        found.append((f"{len(missing)} of {len(suite.planned)} planned cases never reported: {names}", len(missing)))
    if skipped:
        found.append((f"required but skipped: {_counted(skipped)}", len(skipped)))
    if blind:
        found.append((f"critical but could not tell: {_counted(blind)}", len(blind)))
    if least is not None and ran < least:
        found.append((f"{ran} cases ran, {least} did for the last accepted release", ran))
    return [
        Reason("coverage", decision, text, value, "every required case", len(suite.planned), Severity.CRITICAL)
        for text, value in found
    ]


def _failure(case: Case, decision: Decision) -> Reason:
    figure: Measurement | None = next((item for item in case.measurements if item.decision is Decision.ROLLBACK), None)
    return Reason(
        signal=figure.signal if figure else "critical_failures",
        decision=decision,
        text=f"critical: {_told(case)}{_confirmed(case)}",
        value=figure.value if figure else 1,
        limit=figure.limit if figure else "> 0",
        n=figure.n if figure else 1,
        severity=case.severity,
        case=case.id,
    )


def _verdict(reasons: list[Reason], suite: SuiteResult) -> Verdict:
    if not reasons:
        tally = _tally(suite)
        reasons = [
            Reason("coverage", Decision.GO, str(tally), tally.passed, "every required case", tally.applicable),
        ]
    ordered = sorted(reasons, key=lambda reason: _ORDER.index(reason.decision), reverse=True)
    return Verdict(Decision.worst([reason.decision for reason in reasons]), tuple(ordered))


def _rule(rules: Sequence[Rule], signal: str) -> Rule:
    """The rule in force; the default one where a caller gave none, so that a limit is never simply absent."""
    return next(rule for rule in (*rules, *known_rules.DEFAULTS) if rule.signal == signal)


def _has_rollback(reasons: Iterable[Reason]) -> bool:
    return any(reason.decision is Decision.ROLLBACK for reason in reasons)


def _critical(cases: Iterable[Case]) -> list[Case]:
    return [case for case in cases if case.severity is Severity.CRITICAL]


def _told(case: Case) -> str:
    title = case.title or case.id
    return f"{title}: {case.message}" if case.message else title


def _confirmed(case: Case) -> str:
    """What was done about a failure before it was believed."""
    return f" ({case.confirmation})" if case.confirmation else ""


def _named(cases: Sequence[Case]) -> str:
    named = [f"{_short(_told(case))}{_confirmed(case)}" for case in cases[:_SHOWN]]
    return "; ".join(named) + ("; …" if len(cases) > _SHOWN else "")


def _short(text: str) -> str:
    """A text among others; the whole of it stands with its case."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _counted(cases: Sequence[Case]) -> str:
    return f"{len(cases)} {'case' if len(cases) == 1 else 'cases'}: {_named(cases)}"


def _score(value: float) -> str:
    """One decimal, never rounded up to a limit it does not reach."""
    return f"{int(value * 10) / 10:g}"
