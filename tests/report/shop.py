"""What a deployment of the shop consists of: its cases, its figures, its steps. ``samples`` makes records of them."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gate.report.record import (
    BackupRecord,
    CategoryScore,
    DryRunRecord,
    Gap,
    Histogram,
    InvariantRecord,
    InvariantRun,
    MigrationsRecord,
    ReadinessRecord,
    ReleaseRecord,
    ResourceSample,
    ResourceSeries,
    ResponseTime,
    RevisionRecord,
    StepRecord,
    StepStatus,
    SuiteRecord,
    Undo,
)
from gate.results import Case, CaseOutcome, Category, Measurement, Severity

START = datetime(2026, 11, 24, 2, 13, 4, 120000, UTC)
BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


OLD = ReleaseRecord("1.0.0", digest("1.0.0"), "4be1c0de9a7f3320cafe", ".gate/production/releases/1.0.0", "Noor Haddad")
NEW = ReleaseRecord("1.1.0", digest("1.1.0"), "a9d07c41be22f8815e03", ".gate/production/releases/1.1.0", "Ines Okafor")

CHECKS: tuple[tuple[str, Category, Severity, str], ...] = (
    ("scripts.py::test_artifact", Category.DEPLOYMENT_SCRIPTS, Severity.CRITICAL, "The release is there and whole"),
    ("scripts.py::test_immutable", Category.DEPLOYMENT_SCRIPTS, Severity.CRITICAL, "Unchanged since it was built"),
    ("scripts.py::test_newer", Category.DEPLOYMENT_SCRIPTS, Severity.HIGH, "Newer than what serves"),
    ("scripts.py::test_target", Category.DEPLOYMENT_SCRIPTS, Severity.CRITICAL, "The earlier release can come back"),
    ("pipeline.py::test_workflows", Category.CI_CD, Severity.HIGH, "Workflow files are lint-clean"),
    ("pipeline.py::test_results", Category.CI_CD, Severity.CRITICAL, "The commit's own tests are green"),
    ("migrations.py::test_downgrade", Category.MIGRATIONS, Severity.CRITICAL, "Every migration has a downgrade"),
    ("migrations.py::test_dry_run", Category.MIGRATIONS, Severity.CRITICAL, "Up and down on a copy, nothing lost"),
    ("migrations.py::test_breaking", Category.MIGRATIONS, Severity.CRITICAL, "Nothing the earlier release needs goes"),
    ("settings.py::test_required", Category.ENVIRONMENT, Severity.CRITICAL, "Every setting is present and real"),
    ("settings.py::test_database", Category.ENVIRONMENT, Severity.CRITICAL, "The database answers and has room"),
    ("settings.py::test_cache", Category.ENVIRONMENT, Severity.HIGH, "The cache answers and keeps its keys"),
    ("resources.py::test_limits", Category.RESOURCES, Severity.HIGH, "Every service has its limits"),
    ("resources.py::test_headroom", Category.RESOURCES, Severity.HIGH, "The host has headroom"),
    ("api.py::test_compatible", Category.CORE_FLOWS, Severity.CRITICAL, "The API still serves earlier callers"),
    ("security.py::test_dependencies", Category.SECURITY, Severity.HIGH, "No dependency has a known vulnerability"),
    ("security.py::test_secrets", Category.SECURITY, Severity.CRITICAL, "No secret is committed"),
    ("security.py::test_code", Category.SECURITY, Severity.HIGH, "The static scan finds nothing"),
    ("documents.py::test_runbook", Category.DOCUMENTATION, Severity.HIGH, "The runbook says how to go back"),
    ("documents.py::test_changelog", Category.DOCUMENTATION, Severity.HIGH, "The changelog knows this version"),
    ("documents.py::test_contacts", Category.DOCUMENTATION, Severity.HIGH, "There is somebody to call"),
)
SMOKE: tuple[tuple[str, Category, Severity, str], ...] = (
    ("health.py::test_healthy", Category.ENVIRONMENT, Severity.CRITICAL, "Every service is healthy"),
    ("health.py::test_ready", Category.ENVIRONMENT, Severity.CRITICAL, "Database and cache answer through the app"),
    ("health.py::test_identity", Category.DEPLOYMENT_SCRIPTS, Severity.CRITICAL, "Every answer names this release"),
    ("page.py::test_page", Category.CORE_FLOWS, Severity.HIGH, "The page comes with its assets"),
    ("store/sign_in.py::test_sign_in", Category.CORE_FLOWS, Severity.CRITICAL, "A cashier signs in"),
    ("store/checkout.py::test_counter_checkout", Category.CORE_FLOWS, Severity.CRITICAL, "Cart, sale, receipt"),
    ("store/stock.py::test_movements", Category.CORE_FLOWS, Severity.CRITICAL, "Stock moves and never goes below zero"),
    ("store/payment.py::test_refund", Category.CORE_FLOWS, Severity.CRITICAL, "Paid once, refunded once"),
    ("store/age.py::test_minor[beer]", Category.CORE_FLOWS, Severity.CRITICAL, "No beer under 21"),
    ("data.py::test_invariants", Category.MIGRATIONS, Severity.CRITICAL, "What must always hold, holds"),
    ("data.py::test_backup", Category.MIGRATIONS, Severity.HIGH, "The last backup is fresh"),
    ("times.py::test_p95", Category.RESOURCES, Severity.HIGH, "Routes answer in time"),
    ("logs.py::test_no_errors", Category.RESOURCES, Severity.CRITICAL, "The log has no errors"),
    ("usage.py::test_usage", Category.RESOURCES, Severity.HIGH, "CPU and memory stay below their limits"),
    ("headers.py::test_headers", Category.SECURITY, Severity.HIGH, "Security headers are sent"),
    ("api.py::test_contract", Category.CORE_FLOWS, Severity.HIGH, "The API answers as it says it does"),
    ("stop.py::test_graceful", Category.DEPLOYMENT_SCRIPTS, Severity.HIGH, "A second instance stops gracefully"),
    ("cache.py::test_used", Category.ENVIRONMENT, Severity.MINOR, "The cache is really used"),
)
MEASURED = {
    "checks/resources.py::test_headroom": (
        Measurement("cpu", 0.31, "share", 3, "< 70%"),
        Measurement("memory", 0.44, "share", 3, "< 70%"),
        Measurement("disk", 0.52, "share", 1, "< 70%"),
    ),
    "smoke/times.py::test_p95": (
        Measurement("response_time", 0.083, "seconds", 24, "< 1 s", detail="POST /api/sales"),
        Measurement("response_time", 0.019, "seconds", 40, "< 1 s", detail="GET /api/items"),
    ),
    "smoke/usage.py::test_usage": (
        Measurement("cpu", 0.22, "share", 3, "< 70%"),
        Measurement("memory", 0.1836, "share", 3, "< 70%"),
    ),
}


def suite(name: str, phase: str, *faults: Case, only: Severity | None = None, stopped: str = "") -> SuiteRecord:
    """A run of the shop's checks or smoke tests in which ``faults`` came out differently."""
    table, folder = (CHECKS, "checks") if phase == "checks" else (SMOKE, "smoke")
    wrong = {case.id: case for case in faults}
    planned = [row for row in table if only in (None, row[2])]
    rng = random.Random(name + phase)
    cases: list[Case] = []
    for path, category, severity, title in planned:
        case_id = f"{folder}/{path}"
        passed = Case(case_id, category, severity, CaseOutcome.PASSED, round(rng.lognormvariate(-2.2, 0.9), 3), title)
        cases.append(wrong.get(case_id, replace(passed, measurements=MEASURED.get(case_id, ()))))
        if stopped and case_id in wrong:
            break
    return SuiteRecord(
        name=name,
        phase=phase,
        planned=len(planned),
        seconds=round(sum(case.seconds for case in cases) + 0.4, 2),
        cases=tuple(cases),
        missing=tuple(f"{folder}/{row[0]}" for row in planned[len(cases) :]),
        stopped=stopped,
        page=f"{name}.html",
    )


def readiness(total: float = 96.4, gaps: tuple[Gap, ...] = (), **scores: float) -> ReadinessRecord:
    by_name = {str(category): 100.0 for category in Category} | {"Security": 81.8} | scores
    rows = {str(category): [row for row in CHECKS if row[1] is category] for category in Category}
    return ReadinessRecord(
        total=total,
        minimum=90,
        categories=tuple(
            CategoryScore(name, score, len(rows[name]), 2.0 if name == "Security" else 1.0, before=100.0)
            for name, score in by_name.items()
        ),
        gaps=gaps,
        confidence=0.93,
        risk="LOW",
        inputs={"deployments": 41, "released": 38, "evidence measured": 0.97, "migration": "expand", "first": False},
        before=98.2,
    )


AUDIT_GAP = Gap(
    "checks/security.py::test_dependencies",
    Severity.HIGH,
    "cannot tell: the vulnerability index did not answer within 60 s",
    "Security",
)
AUDIT_CASE = Case(
    AUDIT_GAP.case,
    Category.SECURITY,
    Severity.HIGH,
    CaseOutcome.WARNING,
    6.02,
    "No dependency has a known vulnerability",
    AUDIT_GAP.message,
)


def histogram(middle: float, n: int, tail: float = 0.0) -> Histogram:
    rng = random.Random(n)
    values = [tail if rng.random() < 0.1 and tail else rng.lognormvariate(math.log(middle), 0.45) for _ in range(n)]
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[sum(value >= bound for bound in BOUNDS)] += 1
    return Histogram(BOUNDS, tuple(counts))


def times(phase: str, slow: float = 0.0) -> tuple[ResponseTime, ...]:
    return (
        ResponseTime(phase, "GET /", 40, 0.004, 0.009, histogram(0.004, 40)),
        ResponseTime(phase, "GET /api/items", 40, 0.011, 0.019, histogram(0.011, 40)),
        ResponseTime(phase, "POST /api/sales", 24, 0.041, slow or 0.083, histogram(0.041, 24, slow)),
        ResponseTime(phase, "POST /api/payments", 18, 0.037, 0.071, histogram(0.037, 18)),
    )


def usage(phase: str, begin: float, count: int = 24, peak: float = 0.4) -> ResourceSeries:
    rng = random.Random(phase)
    return ResourceSeries(
        service="web",
        phase=phase,
        samples=tuple(
            ResourceSample(
                after(begin + index / 4),
                round(peak * (0.3 + 0.7 * rng.random()), 3),
                (92 + index * 0.4 + rng.random()) * 2**20,
            )
            for index in range(count)
        ),
        cpu_limit=1.0,
        memory_limit=512 * 2**20,
    )


INVARIANTS = ("stock is never negative", "ledger sums to the stock", "no order paid twice", "every sale has a receipt")


def held_data(moment: str, *broken: str) -> InvariantRun:
    return InvariantRun(
        moment,
        tuple(
            InvariantRecord(name, 2, ("item 17: stock 9, ledger 11", "item 31: stock 0, ledger 1"), 0.004)
            if name in broken
            else InvariantRecord(name, 0, (), 0.003)
            for name in INVARIANTS
        ),
    )


BACKUP = BackupRecord("b42", "b42.dump", 123_842_113, digest("b42")[7:], 2.31, 2.12, 14, 482_113)
MIGRATIONS = MigrationsRecord(
    "0004_terminals",
    "0005_receipt_note",
    (RevisionRecord("0005_receipt_note", "A note on the receipt", 0.012, "expand"),),
    DryRunRecord(0.31, 0.28),
)


def done(name: str, begin: float, seconds: float, detail: str, undo: Undo | None = None) -> StepRecord:
    return StepRecord(name, StepStatus.UNDONE if undo else StepStatus.DONE, after(begin), seconds, detail, undo)


def failed(name: str, begin: float, seconds: float, detail: str, undo: Undo | None = None) -> StepRecord:
    return StepRecord(name, StepStatus.FAILED, after(begin), seconds, detail, undo)


def skipped(*names: str) -> tuple[StepRecord, ...]:
    return tuple(StepRecord(name, StepStatus.SKIPPED, None, 0.0) for name in names)
