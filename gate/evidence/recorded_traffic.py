"""What live traffic cost and showed, for the decision record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gate.deployment.run import Run
from gate.live import trace
from gate.live.observations import Role
from gate.report.record import (
    EvidencePoint,
    ResourceSample,
    ResourceSeries,
    ResponseTime,
    Switch,
    TrafficRecord,
    TrafficSample,
    WatchRecord,
)
from gate.routing.traffic import request_log
from gate.signals import switches
from gate.watching import watched


def traffic_of(run: Run) -> TrafficRecord:
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


def response_times(run: Run) -> tuple[ResponseTime, ...]:
    return tuple(
        ResponseTime(item.phase, figure.detail or case.title, figure.n, None, figure.value)
        for item in run.evidence.suites
        for case in item.result.cases
        for figure in case.measurements
        if figure.signal == "response_time"
    )


def resources(run: Run) -> tuple[ResourceSeries, ...]:
    series: dict[tuple[str, str], list[ResourceSample]] = {}
    for at, usage in run.evidence.usage:
        series.setdefault((usage.service, usage.name), []).append(ResourceSample(at, usage.cpu, float(usage.memory)))
    services = run.environment.services
    return tuple(
        ResourceSeries(
            name,
            "candidate",
            tuple(samples),
            cpu_limit=limits.cpu if (limits := services[service].limits) else None,
            memory_limit=float(limits.memory) if limits else None,
        )
        for (service, name), samples in series.items()
    )
