"""Turns what a run found out into its decision record, and writes ``decision.json`` and the report.

Nothing here decides: whatever fails is told on the terminal and changes no outcome.
"""

from __future__ import annotations

import hashlib
import itertools
import platform
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gate import __version__
from gate.deployment.evidence import LIVE
from gate.deployment.evidence import StepRecord as Step
from gate.deployment.run import Run
from gate.engines.base import Instance
from gate.errors import OperationFailed
from gate.evidence.recorded_database import backup_of, invariants_of, migrations_of
from gate.evidence.recorded_permission import joined, permission_of
from gate.evidence.recorded_readiness import readiness_of
from gate.evidence.recorded_traffic import resources, response_times, traffic_of
from gate.releases import Release
from gate.report import document, html
from gate.report.record import (
    DecisionRecord,
    FileRecord,
    Kept,
    LogTail,
    Person,
    PhaseVerdict,
    ReleaseRecord,
    RuleRecord,
    Serving,
    StepRecord,
    StepStatus,
    SuiteRecord,
    TrafficRecord,
    Undo,
)
from gate.results import Outcome
from gate.rollback import served

DECISION = "decision.json"
REPORT = "report.html"


def write(run: Run, outcome: Outcome, next_step: str) -> Path:
    """Writes the record and the report of a run into its folder; returns the report's path. Raises OSError."""
    run.reports.mkdir(parents=True, exist_ok=True)
    for file in sorted(run.folder.glob("*")):  # what the suites left
        if file.is_file() and not file.is_symlink():  # a link may lead to what must not be published
            shutil.copy2(file, run.reports / file.name)
    made = of(run, outcome, next_step)
    earlier = _before_it_was_resumed(run)
    if earlier is not None:
        made = _joined(earlier, made)
    record = document.to_json(made, run.environment.redactor)
    document.write(record, run.reports / DECISION)
    report = run.reports / REPORT
    try:
        report.write_text(html.render(record), encoding="utf-8")
    except OSError:
        report.unlink(missing_ok=True)  # none is better than half of one
        raise
    return report


def add_notes(run: Run, texts: Sequence[str]) -> None:
    """Adds to the notes of a record, and to its report, what became known after they were written, and what of them
    is not as it was sealed. Raises OSError, OperationFailed."""
    record = document.read(run.reports / DECISION)
    record["unproven"] = run.environment.redactor.tree(run.evidence.unproven)
    record["notes"] = [*record["notes"], *run.environment.redactor.tree(list(texts))]
    document.write(record, run.reports / DECISION)
    (run.reports / REPORT).write_text(html.render(record), encoding="utf-8")


def _before_it_was_resumed(run: Run) -> DecisionRecord | None:
    """What an earlier process wrote about this deployment, held or not undone; None when there is none."""
    file = run.reports / DECISION
    if not run.journal.resumed or not file.is_file():
        return None
    try:
        return document.from_json(document.read(file))
    except OperationFailed as fault:
        run.note(f"what was recorded of it before is lost: {fault}")
        return None


def _joined(earlier: DecisionRecord, later: DecisionRecord) -> DecisionRecord:
    """One record of a deployment that two processes worked on."""
    traffic = later.traffic
    if earlier.traffic is not None and later.traffic is not None:
        traffic = TrafficRecord(
            switches=earlier.traffic.switches + later.traffic.switches,
            # Every watch over a deployment has its file in the same folder, so the later process has read them all.
            samples=later.traffic.samples,
            evidence=later.traffic.evidence,
            watches=later.traffic.watches,
        )
    told = {item.text: item for item in earlier.reasons}  # as the first process knew them, with their figures
    undone_before = earlier.outcome is Outcome.ROLLBACK_FAILED
    return replace(
        later,
        started_at=earlier.started_at,
        decided_at=(earlier.decided_at if undone_before else None) or later.decided_at,
        reasons=tuple({item.text: told.get(item.text, item) for item in later.reasons}.values()),
        steps=earlier.steps + later.steps,
        suites=earlier.suites + later.suites,
        verdicts=earlier.verdicts + later.verdicts,
        notes=earlier.notes + later.notes,
        unproven=tuple(dict.fromkeys((*earlier.unproven, *later.unproven))),
        permission=joined(earlier.permission, later.permission),
        readiness=later.readiness or earlier.readiness,
        backup=later.backup or earlier.backup,
        migrations=later.migrations or earlier.migrations,
        invariants=earlier.invariants + later.invariants,
        traffic=traffic,
        response_times=earlier.response_times + later.response_times,
        resources=earlier.resources + later.resources,
        logs=later.logs or earlier.logs,
    )


def of(run: Run, outcome: Outcome, next_step: str) -> DecisionRecord:
    """The decision record of a run that ended with ``outcome``."""
    evidence = run.evidence
    user, _, host = run.by.partition("@")
    serving = _serving(run)
    return DecisionRecord(
        outcome=outcome,
        exit_code=outcome.exit_code,
        environment=run.environment.name,
        app=run.environment.app.name,
        deployment=run.deployment,
        action=run.action,
        started_at=run.started_at,
        ended_at=run.clock(),
        by=Person(user, host),
        command=run.command,
        release=_release(run.release),
        stable_before=_instance(run.stable) if run.stable else None,
        serving=Serving(serving.version, serving.digest) if serving else None,
        first_deployment=run.stable is None,
        reasons=tuple(evidence.reasons),
        steps=tuple(map(_step, evidence.steps)),
        decided_at=evidence.decided_at,
        next_step=next_step,
        notes=tuple(evidence.notes),
        unproven=tuple(evidence.unproven),
        verdicts=_verdicts(run),
        rules=tuple(map(RuleRecord.of, run.environment.all_rules)),
        permission=permission_of(run),
        readiness=readiness_of(run),
        suites=tuple(
            SuiteRecord.of(item.result, item.phase, _page(run, item.phase), least=item.least, owed=item.owed)
            for item in evidence.suites
        ),
        backup=backup_of(run),
        migrations=migrations_of(run),
        invariants=tuple(itertools.starmap(invariants_of, evidence.invariants)),
        traffic=traffic_of(run),
        response_times=response_times(run),
        resources=resources(run),
        logs=LogTail(run.candidate_id, tuple(evidence.logs)) if evidence.logs else None,
        kept=_kept(run),
        contacts=run.environment.contacts,
        versions=_versions(run),
        files=tuple(_file(file) for file in sorted(run.folder.glob("*")) if file.is_file()),
        changelog=_changelog(run),
    )


def _serving(run: Run) -> Instance | None:
    """What serves; None too where nobody can tell: of such a run above all there must be a record."""
    try:
        return run.engine.stable()
    except OperationFailed:
        return None


def _verdicts(run: Run) -> tuple[PhaseVerdict, ...]:
    suites = [
        PhaseVerdict(item.phase, item.verdict.decision, item.verdict.reasons, item.at) for item in run.evidence.suites
    ]
    live = [PhaseVerdict(LIVE, item.decision, item.reasons, at) for at, item in run.evidence.live]
    return tuple(sorted((*suites, *live), key=lambda verdict: verdict.at))


def _release(release: Release) -> ReleaseRecord:
    return ReleaseRecord(release.version, release.digest, release.commit, str(release.folder))


def _instance(instance: Instance) -> ReleaseRecord:
    return ReleaseRecord(instance.version, instance.digest, instance.commit, instance.folder)


def _step(step: Step) -> StepRecord:
    status = {"done": StepStatus.DONE}.get(step.status, StepStatus.FAILED)
    undo = None
    if step.undone is not None:
        undo = Undo(step.undo_seconds, step.undo_detail, step.undone, step.undo_at)
        status = StepStatus.UNDONE if step.undone and status is StepStatus.DONE else status
    return StepRecord(step.name, status, step.started_at, step.seconds, step.detail, undo)


def _page(run: Run, phase: str) -> str:
    page = run.folder / f"{phase}.html"
    return page.name if page.is_file() else ""


def _kept(run: Run) -> Kept:
    """Where a rollback from what serves now would lead, nearest first; not what was just rolled back from."""
    backup, serving = run.evidence.backup, _serving(run)
    ways = served.before(run.store, serving.digest) if serving is not None else []
    versions = dict.fromkeys(item.version for item in ways[: run.environment.retention.instances])
    return Kept(instances=tuple(versions), backups=(backup["id"],) if backup else ())


def _versions(run: Run) -> dict[str, str]:
    facts = run.engine.facts()
    found = {
        "deploy gate": __version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        f"engine {facts.engine}": facts.engine_version,
        facts.proxy: facts.proxy_version,
    }
    return {name: version for name, version in found.items() if version}


def _file(file: Path) -> FileRecord:
    content = file.read_bytes()
    return FileRecord(file.name, hashlib.sha256(content).hexdigest(), len(content))


def _changelog(run: Run) -> str:
    """The changelog's entry for this version: from its heading to the next heading of the same kind."""
    name = run.environment.documents.changelog
    file = run.environment.root / name if name else None
    if file is None or not file.is_file():
        return ""
    version = run.release.version.partition("+")[0]
    entry: list[str] = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("## "):
            if entry:
                break
            entry = [line] if version in line.replace("[", " ").replace("]", " ").split() else []
        elif entry:
            entry.append(line)
    return "\n".join(entry).strip()
