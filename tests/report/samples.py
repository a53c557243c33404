"""Decision records as real deployments of the shop would leave them: one builder per way a deployment can end."""

from __future__ import annotations

import random
from dataclasses import replace

from gate.judging.rules import DEFAULTS
from gate.report.record import (
    DecisionRecord,
    FileRecord,
    Gap,
    Kept,
    LogTail,
    MigrationsRecord,
    Person,
    PhaseVerdict,
    RevisionRecord,
    RuleRecord,
    Serving,
    StepStatus,
    Switch,
    TrafficRecord,
    TrafficSample,
    Undo,
)
from gate.results import Case, CaseOutcome, Category, Decision, Measurement, Outcome, Reason, Severity
from tests.report.shop import (
    AUDIT_CASE,
    AUDIT_GAP,
    BACKUP,
    CHECKS,
    MIGRATIONS,
    NEW,
    OLD,
    START,
    after,
    digest,
    done,
    failed,
    held_data,
    readiness,
    skipped,
    suite,
    times,
    usage,
)


def released() -> DecisionRecord:
    rng = random.Random(42)
    reason = Reason("cases", Decision.GO, "57 of 57 cases reported, no failure", 0, "== 0", 57)
    return DecisionRecord(
        outcome=Outcome.RELEASED,
        exit_code=0,
        environment="production",
        app="store",
        deployment=42,
        started_at=START,
        ended_at=after(31.4),
        by=Person("alice", "ops-1"),
        command="python deploy_gate.py production --version v1.1.0",
        release=NEW,
        stable_before=OLD,
        serving=Serving(NEW.version, NEW.digest),
        first_deployment=False,
        reasons=(
            reason,
            Reason("response_time", Decision.GO, "p95 83 ms < 1 s on POST /api/sales (n = 24)", 0.083, "< 1 s", 24),
            Reason("log_errors", Decision.GO, "no error line in the log", 0, "== 0", 1),
        ),
        verdicts=(
            PhaseVerdict("checks", Decision.GO, (reason,), after(6.2)),
            PhaseVerdict("candidate", Decision.GO, (reason,), after(15.6)),
            PhaseVerdict("front", Decision.GO, (reason,), after(21.0)),
        ),
        decided_at=after(21.0),
        steps=(
            done("lock", 0, 0.01, "held by this run"),
            done("checks", 0.1, 6.1, "20 passed, 1 warning · readiness 96/100 · risk LOW"),
            done("backup", 6.2, 4.4, "118 MB, restored and compared, 14 tables equal"),
            done("migrate", 10.7, 0.3, "0005_receipt_note (expand) · lock 12 ms"),
            done("start", 11.1, 1.9, "candidate healthy"),
            done("smoke", 13.1, 2.5, "18 of 18 on the candidate, before any traffic"),
            done("promote", 15.7, 3.0, "all traffic · 0 of 9,412 requests failed"),
            done("front", 18.8, 2.2, "18 of 18 at the front door"),
            done("retire", 21.1, 10.2, "1.0.0 drained, kept until the next deployment"),
        ),
        rules=tuple(RuleRecord.of(rule) for rule in DEFAULTS),
        readiness=readiness(gaps=(AUDIT_GAP,)),
        suites=(
            suite("checks", "checks", AUDIT_CASE),
            suite("smoke-candidate", "candidate"),
            suite("smoke-front", "front"),
        ),
        backup=BACKUP,
        migrations=MIGRATIONS,
        invariants=(held_data("before"), held_data("migrated"), held_data("smoke")),
        traffic=TrafficRecord(
            switches=(Switch(after(15.8), "1.1.0", "1.0.0", 3.8, 9412, 0, 11.2),),
            samples=tuple(
                TrafficSample(after(second), version, requests + rng.randint(-9, 9), 0, 0.06 + rng.random() / 50)
                for second in range(12, 26)
                for version, requests in (("1.0.0", 310 if second < 16 else 0), ("1.1.0", 0 if second < 16 else 310))
                if requests
            ),
        ),
        response_times=times("candidate") + times("front"),
        resources=(usage("candidate", 13.1), usage("front", 18.8)),
        kept=Kept(("r41",), ("b42", "b41", "b40"), None),
        contacts={"primary": "release engineer on call, +49 30 5550 101", "database": "database team, +49 30 5550 103"},
        versions={"python": "3.11.11", "gate": "0.1.0", "postgres": "18.1", "cache": "8.1.4", "proxy": "2.10.2"},
        files=(
            FileRecord("checks.html", digest("c")[7:], 48_113),
            FileRecord("smoke-candidate.html", digest("d")[7:], 39_871),
            FileRecord("smoke-front.html", digest("e")[7:], 39_902),
            FileRecord("junit-checks.xml", digest("f")[7:], 9_120),
        ),
        changelog="## 1.1.0\n- A note may be printed on the receipt.\n- Stock counts are shown while selling.\n",
    )


TRACE = """Traceback (most recent call last):
  File "smoke/store/checkout.py", line 41, in test_counter_checkout
    assert answer.status_code == 201, f"sale {number}: {answer.status_code}"
AssertionError: sale 3: 500

----- answer -----
HTTP/1.1 500 Internal Server Error
content-type: application/json
{"detail": "internal error", "request": "0f3a…"}
"""


def rolled_back() -> DecisionRecord:
    base = released()
    release = replace(NEW, version="1.1.0+checkout-500s", digest=digest("checkout-500s"))
    fault = Case(
        "smoke/store/checkout.py::test_counter_checkout",
        Category.CORE_FLOWS,
        Severity.CRITICAL,
        CaseOutcome.FAILED,
        0.412,
        "Cart, sale, receipt",
        "sale 3 of 10 answered 500, expected 201 (3 of 10 failed)",
        TRACE,
        (Measurement("sale_failures", 0.3, "share", 10, "== 0%", Decision.ROLLBACK),),
    )
    reason = Reason(
        "smoke_failures",
        Decision.ROLLBACK,
        "critical: Cart, sale, receipt: sale 3 of 10 answered 500, expected 201",
        1,
        "== 0",
        6,
        Severity.CRITICAL,
        fault.id,
    )
    stop = "decided: a critical smoke test failed"
    return replace(
        base,
        outcome=Outcome.ROLLED_BACK,
        exit_code=1,
        deployment=43,
        command="python deploy_gate.py production --version v1.1.0+checkout-500s",
        ended_at=after(17.9),
        release=release,
        stable_before=OLD,
        serving=Serving(OLD.version, OLD.digest),
        reasons=(reason,),
        verdicts=(
            base.verdicts[0],
            PhaseVerdict("candidate", Decision.ROLLBACK, (reason,), after(14.3)),
            PhaseVerdict("restored", Decision.GO, (), after(17.8)),
        ),
        decided_at=after(14.3),
        next_step="python deploy_gate.py production history 43",
        steps=(
            *base.steps[:2],
            done("backup", 6.2, 4.4, "118 MB, restored and compared, 14 tables equal"),
            done(
                "migrate",
                10.7,
                0.3,
                "0005_receipt_note (expand)",
                Undo(0.31, "back at 0004_terminals", True, after(15.9)),
            ),
            done("start", 11.1, 1.9, "candidate healthy", Undo(1.4, "stopped gracefully, exit 0", True, after(14.4))),
            failed("smoke", 13.1, 1.2, "critical: Cart, sale, receipt · 1 of 6 failed, 12 not run"),
            *skipped("promote", "front", "retire"),
            done("verify", 16.3, 1.5, "11 of 11 critical smoke tests and 4 invariants on 1.0.0"),
        ),
        suites=(
            base.suites[0],
            suite("smoke-candidate", "candidate", fault, stopped=stop),
            suite("smoke-restored", "restored", only=Severity.CRITICAL),
        ),
        invariants=(held_data("before"), held_data("migrated"), held_data("restored")),
        traffic=None,
        response_times=times("candidate", slow=1.92),
        resources=(usage("candidate", 13.1, 6, 0.9),),
        logs=LogTail(
            "r43",
            (
                *(f'web: {{"level": "INFO", "message": "POST /api/sales 201", "ms": {30 + n}}}' for n in range(8)),
                'web: {"level": "ERROR", "message": "unhandled error", "path": "/api/sales"}',
                "web: Traceback (most recent call last):",
                'web:   File "store/checkout.py", line 88, in sell',
                """web:     total -= cart["discount"]""",
                "web: KeyError: 'discount'",
            ),
            after(14.35),
        ),
    )


def refused() -> DecisionRecord:
    base = released()
    gaps = (
        Gap(
            "checks/migrations.py::test_breaking",
            Severity.CRITICAL,
            "0006_drop_sku: column items.sku is read by 1.0.0 (contract)",
            "Database Migrations",
        ),
        Gap(
            "checks/security.py::test_dependencies",
            Severity.HIGH,
            "2 dependencies with known vulnerabilities: urllib3 2.2.1, jinja2 3.1.3",
            "Security",
        ),
    )
    titles = {f"checks/{row[0]}": row for row in CHECKS}
    faults = [
        Case(
            gap.case,
            gap.category,
            gap.severity,
            CaseOutcome.FAILED,
            0.31,
            titles[gap.case][3],
            gap.message,
            gap.message,
        )
        for gap in gaps
    ]
    reasons = (
        Reason(
            "readiness",
            Decision.NO_GO,
            f"critical gap: {gaps[0].message}",
            None,
            "",
            None,
            Severity.CRITICAL,
            gaps[0].case,
        ),
        Reason("readiness", Decision.NO_GO, "readiness 81 of 100, at least 90 is needed", 81.2, ">= 90", 21),
    )
    return replace(
        base,
        outcome=Outcome.REFUSED,
        exit_code=3,
        deployment=44,
        ended_at=after(6.4),
        serving=Serving(OLD.version, OLD.digest),
        reasons=reasons,
        verdicts=(PhaseVerdict("checks", Decision.NO_GO, reasons, after(6.3)),),
        decided_at=after(6.3),
        next_step="fix the gaps, then: python deploy_gate.py production --version v1.1.0",
        steps=(
            base.steps[0],
            failed("checks", 0.1, 6.2, "NO-GO · readiness 81/100 < 90 · 1 critical gap"),
            *skipped("backup", "migrate", "start", "smoke", "promote", "front", "retire"),
        ),
        readiness=readiness(81.2, gaps, **{"Database Migrations": 66.7, "Security": 72.7}),
        suites=(suite("checks", "checks", *faults),),
        backup=None,
        migrations=None,
        invariants=(),
        traffic=None,
        response_times=(),
        resources=(),
        kept=None,
        files=base.files[:1],
    )


def first_deployment() -> DecisionRecord:
    base = released()
    return replace(
        base,
        environment="local",
        deployment=1,
        command="python deploy_gate.py local --version v1.0.0",
        release=OLD,
        stable_before=None,
        serving=Serving(OLD.version, OLD.digest),
        first_deployment=True,
        notes=("First deployment: nothing served before, so nothing could have been rolled back to.",),
        readiness=replace(readiness(100.0, Security=100.0), before=None, risk="MEDIUM", confidence=0.5),
        suites=(suite("checks", "checks"), *base.suites[1:]),
        backup=None,
        migrations=MigrationsRecord(
            None, "0004_terminals", tuple(RevisionRecord(f"000{n}", f"Step {n}", 0.02) for n in range(1, 5))
        ),
        traffic=TrafficRecord(switches=(Switch(after(15.8), "1.0.0"),)),
        kept=Kept(),
    )


def rollback_failed() -> DecisionRecord:
    base = rolled_back()
    steps = list(base.steps[:-1])
    steps[3] = replace(
        steps[3], status=StepStatus.FAILED, undo=Undo(5.0, "lock timeout on table receipts", False, after(15.9))
    )
    return replace(
        base,
        outcome=Outcome.ROLLBACK_FAILED,
        exit_code=4,
        deployment=45,
        serving=None,
        reasons=(
            Reason(
                "rollback",
                Decision.ROLLBACK,
                "undo of migrate failed: lock timeout on table receipts",
                5.0,
                "<= 5 s",
                None,
                Severity.CRITICAL,
            ),
            *base.reasons,
        ),
        next_step="python deploy_gate.py production recover",
        steps=tuple(steps),
        suites=base.suites[:2],
        invariants=(held_data("before"), held_data("migrated", "ledger sums to the stock")),
    )


def interrupted() -> DecisionRecord:
    base = released()
    return replace(
        base,
        outcome=Outcome.INTERRUPTED,
        exit_code=130,
        deployment=46,
        ended_at=after(9.1),
        serving=Serving(OLD.version, OLD.digest),
        reasons=(Reason("signal", Decision.ROLLBACK, "interrupted by SIGINT during backup"),),
        verdicts=base.verdicts[:1],
        decided_at=after(8.0),
        next_step="python deploy_gate.py production --version v1.1.0",
        steps=(
            *base.steps[:2],
            failed(
                "backup", 6.2, 1.8, "interrupted by SIGINT", Undo(0.1, "half-written file removed", True, after(8.0))
            ),
            *skipped("migrate", "start", "smoke", "promote", "front", "retire"),
        ),
        suites=base.suites[:1],
        backup=None,
        migrations=None,
        invariants=(),
        traffic=None,
        response_times=(),
        resources=(),
    )


ALL = {
    "released": released,
    "rolled_back": rolled_back,
    "refused": refused,
    "first_deployment": first_deployment,
    "rollback_failed": rollback_failed,
    "interrupted": interrupted,
}
