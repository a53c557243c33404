"""Turns what a run found out into its decision record, and writes ``decision.json`` and the report.

Nothing here decides: whatever fails is told on the terminal and changes no outcome.
"""

from __future__ import annotations

import hashlib
import itertools
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from gate import __version__
from gate.approval import attempts, owing
from gate.approval.checklists import ItemState
from gate.database.invariants import Invariant
from gate.deployment.evidence import LIVE
from gate.deployment.evidence import StepRecord as Step
from gate.deployment.run import Run
from gate.engines.base import Instance
from gate.errors import OperationFailed
from gate.evidence.standing import Standing
from gate.judging import readiness
from gate.judging.gaps import Gap as TrackedGap
from gate.live import trace
from gate.live.observations import Role
from gate.releases import Release
from gate.report import document, html
from gate.report.permission import PermissionRecord
from gate.report.record import (
    BackupRecord,
    CategoryScore,
    DecisionRecord,
    EvidencePoint,
    FileRecord,
    Gap,
    GapTally,
    InvariantRecord,
    InvariantRun,
    Kept,
    LogTail,
    MigrationsRecord,
    Person,
    PhaseVerdict,
    ReadinessRecord,
    ReleaseRecord,
    ResourceSample,
    ResourceSeries,
    ResponseTime,
    RevisionRecord,
    RuleRecord,
    Serving,
    StepRecord,
    StepStatus,
    SuiteRecord,
    Switch,
    TrafficRecord,
    TrafficSample,
    Undo,
    WatchRecord,
)
from gate.results import Outcome, Severity
from gate.rollback import served
from gate.routing.traffic import request_log
from gate.signals import switches
from gate.watching import watched

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
        permission=_permission_joined(earlier.permission, later.permission),
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
    serving = run.engine.stable()
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
        permission=_permission(run),
        readiness=_readiness(run),
        suites=tuple(
            SuiteRecord.of(item.result, item.phase, _page(run, item.phase), least=item.least, owed=item.owed)
            for item in evidence.suites
        ),
        backup=_backup(run),
        migrations=_migrations(run),
        invariants=tuple(itertools.starmap(_invariants, evidence.invariants)),
        traffic=_traffic(run),
        response_times=_response_times(run),
        resources=_resources(run),
        logs=LogTail(run.candidate_id, tuple(evidence.logs)) if evidence.logs else None,
        kept=_kept(run),
        contacts=run.environment.contacts,
        versions=_versions(run),
        files=tuple(_file(file) for file in sorted(run.folder.glob("*")) if file.is_file()),
        changelog=_changelog(run),
    )


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


def _permission(run: Run) -> PermissionRecord | None:
    """Whose word the deployment had, and what people still owe; what cannot be told of it is noted."""
    items: list[ItemState] = []
    try:
        debts = owing.open_debts(run.environment, run.store)
        own = next((item for item in run.store.deployments() if item.id == run.deployment), None)
        if own is not None and own.action in ("deploy", "plan"):
            written = attempts.as_it_was(run.store, own)
            items = attempts.for_run(run.environment, run.store, own) if written is None else written
    except OperationFailed as fault:
        run.note(f"what people have signed and ticked cannot be told: {fault}")
        debts = []
    return PermissionRecord.of(run.evidence.permission, items, debts)


def _permission_joined(earlier: PermissionRecord | None, later: PermissionRecord | None) -> PermissionRecord | None:
    """The process that goes on with a deployment does not ask again: what the first one was told stays."""
    if earlier is None or later is None:
        return later or earlier
    return replace(earlier, checklist=later.checklist, debts=later.debts)


def _readiness(run: Run) -> ReadinessRecord | None:
    scored = run.evidence.readiness
    if scored is None:
        return None
    stands = run.evidence.standing
    before = stands.before if stands is not None else None
    return ReadinessRecord(
        total=scored.total,
        minimum=run.environment.readiness.minimum,
        categories=tuple(
            CategoryScore(
                item.name, item.score, item.cases, item.weight, before.categories.get(item.name) if before else None
            )
            for item in scored.categories
        ),
        gaps=_gaps(scored.gaps, stands),
        confidence=scored.confidence,
        risk=str(scored.risk),
        inputs=scored.inputs,
        before=before.total if before else None,
        points=scored.points,
        since=stands.release if stands else None,
        resolved=tuple(_closed(gap) for gap in stands.resolved) if stands else (),
        tally=tuple(GapTally(name, many.resolved, many.total) for name, many in stands.tally.items()) if stands else (),
    )


def _gaps(found: Iterable[readiness.Gap], stands: Standing | None) -> tuple[Gap, ...]:
    """The gaps of the checks, the new ones known as that; then whatever else is open, from a smoke test or before."""
    fresh = {gap.seen.case: gap for gap in stands.new} if stands else {}
    known = fresh | ({gap.seen.case: gap for gap in stands.still} if stands else {})
    made = [
        Gap(
            item.case,
            item.severity,
            item.message,
            item.category,
            since=known[item.case].opened_in if item.case in known else None,
            new=item.case in fresh if item.case in known else None,
        )
        for item in found
    ]
    told = {item.case for item in made}
    rest = [gap for name, gap in known.items() if name not in told]
    made += [
        Gap(
            gap.seen.case,
            gap.seen.severity,
            gap.seen.message,
            gap.seen.category,
            since=gap.opened_in,
            new=gap.seen.case in fresh,
            unseen=stands is not None and gap.seen.case in stands.unseen,
        )
        for gap in rest
    ]
    return tuple(sorted(made, key=lambda gap: list(Severity).index(gap.severity)))


def _closed(gap: TrackedGap) -> Gap:
    text = gap.seen.title or gap.seen.message
    return Gap(gap.seen.case, gap.seen.severity, text, gap.seen.category, since=gap.opened_in)


def _backup(run: Run) -> BackupRecord | None:
    made = run.evidence.backup
    if made is None:
        return None
    return BackupRecord(**{key: value for key, value in made.items() if key != "schema_head"})


def _migrations(run: Run) -> MigrationsRecord | None:
    done = run.evidence.migrations
    if done is None:
        return None
    revisions = tuple(
        RevisionRecord(item["id"], item["title"], item["seconds"], item["kind"]) for item in done["revisions"]
    )
    return MigrationsRecord(done["from"], done["to"], tuple(revisions), way_back=done.get("way_back", ""))


def _invariants(moment: str, found: list[Invariant], error: str) -> InvariantRun:
    results = [
        InvariantRecord(item.name, item.rows, tuple(map(str, item.sample)), round(item.seconds, 4)) for item in found
    ]
    if error:
        results.append(InvariantRecord("all of them", 0, error=error))
    return InvariantRun(moment, tuple(results))


def _traffic(run: Run) -> TrafficRecord:
    """Every switch with what it cost, and what the watch saw."""
    names = {run.candidate_id: run.release.version}
    if run.stable is not None:
        names[run.stable.id] = run.stable.version
    costs = switches.costs(request_log(run.environment), [item.at for item in run.evidence.switches])
    switched = tuple(
        Switch(
            at=item.at,
            to_release=names.get(item.target or "", "nothing"),
            from_release=names.get(item.origin or ""),
            milliseconds=item.milliseconds,
            attempted=cost.attempted if cost else None,
            failed=cost.failed if cost else None,
            longest_gap_ms=cost.longest_gap if cost else None,
            share=item.share,
        )
        for item, cost in zip(run.evidence.switches, costs, strict=True)
    )
    watches = watched.read(run.folder)
    return TrafficRecord(
        switches=switched,
        samples=tuple(sample for one in watches for sample in _samples(run, one)),
        evidence=tuple(point for one in watches for point in _evidence(run, one)),
        watches=tuple(WatchRecord(one.began_at, one.rows, one.held) for one in watches),
    )


def _samples(run: Run, watch: watched.Watched) -> Iterator[TrafficSample]:
    versions = {
        Role.CANDIDATE: run.release.version,
        Role.STABLE: run.stable.version if run.stable is not None else "nothing",
    }
    for one in trace.seconds(watch.observations):
        at = watch.began_at + timedelta(seconds=one.at)
        yield TrafficSample(at, versions[one.role], one.requests, one.errors, one.p95)


def _evidence(run: Run, watch: watched.Watched) -> Iterator[EvidencePoint]:
    for point in trace.replay(watch.observations, run.environment.all_rules).points:
        yield EvidencePoint(watch.began_at + timedelta(seconds=point.at), point.bad, point.good)


def _response_times(run: Run) -> tuple[ResponseTime, ...]:
    return tuple(
        ResponseTime(item.phase, figure.detail or case.title, figure.n, None, figure.value)
        for item in run.evidence.suites
        for case in item.result.cases
        for figure in case.measurements
        if figure.signal == "response_time"
    )


def _resources(run: Run) -> tuple[ResourceSeries, ...]:
    series: dict[str, list[ResourceSample]] = {}
    for at, usage in run.evidence.usage:
        series.setdefault(usage.service, []).append(ResourceSample(at, usage.cpu, float(usage.memory)))
    services = run.environment.services
    return tuple(
        ResourceSeries(
            name,
            "candidate",
            tuple(samples),
            cpu_limit=limits.cpu if (limits := services[name].limits) else None,
            memory_limit=float(limits.memory) if limits else None,
        )
        for name, samples in series.items()
    )


def _kept(run: Run) -> Kept:
    """Where a rollback from what serves now would lead, nearest first; not what was just rolled back from."""
    backup, serving = run.evidence.backup, run.engine.stable()
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
