"""The charts of the page: what was used and what traffic saw, over the time of the deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from gate.report import charts, wording
from gate.report.record import DecisionRecord, ResourceSeries, TrafficSample

Series = tuple[str, Iterable[tuple[datetime, float | None]]]

_KINDS = ("accent", "good", "soft", "warn")


@dataclass(frozen=True)
class Chart:
    """A picture with its heading and, in ``legend``, the class and name of each line in it."""

    name: str
    note: str
    picture: Markup
    legend: tuple[tuple[str, str], ...]


def limits(record: DecisionRecord, signal: str) -> list[tuple[str, float]]:
    """The limits in force on a signal, as (``go`` or ``rollback``, value)."""
    rule = next((rule for rule in record.rules if rule.signal == signal), None)
    pairs = (("go", rule.go_value), ("rollback", rule.rollback_value)) if rule else ()
    return [(kind, value) for kind, value in pairs if value is not None]


def usage(record: DecisionRecord) -> list[Chart]:
    """CPU and memory of each service, each phase a line, against the service's limit and the rules on its share."""

    def cores(value: float) -> str:
        return f"{value:.3g}"

    made: list[Chart | None] = []
    for service in dict.fromkeys(series.service for series in record.resources):
        mine = [series for series in record.resources if series.service == service]
        cpu = [(series.phase, [(sample.at, sample.cpu) for sample in series.samples]) for series in mine]
        memory = [(series.phase, [(sample.at, sample.memory) for sample in series.samples]) for series in mine]
        cpu_marks = _marks(record, "cpu", mine, lambda series: series.cpu_limit, cores)
        memory_marks = _marks(record, "memory", mine, lambda series: series.memory_limit, wording.size)
        made.append(_chart(record, f"{service}: cpu, in cores", cpu, cores, limits=cpu_marks))
        made.append(_chart(record, f"{service}: memory", memory, wording.size, limits=memory_marks, step=2.0**20))
    return [chart for chart in made if chart]


def _marks(
    record: DecisionRecord,
    signal: str,
    of: Sequence[ResourceSeries],
    limit_of: Callable[[ResourceSeries], float | None],
    show: Callable[[float], str],
) -> list[charts.Mark]:
    limit = next((found for series in of if (found := limit_of(series))), None)
    if limit is None:
        return []
    shares = [charts.Mark(share * limit, f"{kind} limit, {share:.0%}", kind) for kind, share in limits(record, signal)]
    return [charts.Mark(limit, f"limit, {show(limit)}", "hard"), *shares]


def traffic(record: DecisionRecord) -> list[Chart]:
    """Requests, share of errors and p95 of each release, with each switch marked."""
    if not record.traffic:
        return []
    switches = [charts.Mark(_offset(record, switch.at), f"→ {switch.to_release}") for switch in record.traffic.switches]
    samples = record.traffic.samples
    stable = record.stable_before.version if record.stable_before else None

    def series(value: Callable[[TrafficSample], float | None]) -> list[Series]:
        releases = dict.fromkeys(sample.release for sample in samples)
        return [(name, [(s.at, value(s)) for s in samples if s.release == name]) for name in releases]

    def percent(value: float) -> str:
        return f"{value * 100:.3g} %"

    def errors(sample: TrafficSample) -> float | None:
        return sample.errors / sample.requests if sample.requests else None

    made = (
        _chart(record, "requests", series(lambda s: s.requests), wording.count, moments=switches, soft=stable),
        _chart(record, "errors", series(errors), percent, moments=switches, soft=stable, least=0.05),
        _chart(record, "p95", series(lambda s: s.p95), wording.seconds, moments=switches, soft=stable),
    )
    return [chart for chart in (*made, _evidence(record, switches)) if chart]


def _evidence(record: DecisionRecord, switches: Sequence[charts.Mark]) -> Chart | None:
    """How the log-likelihood ratios grew towards their bounds."""
    points = record.traffic.evidence if record.traffic else ()
    series: list[Series] = [
        ("that it is healthy", [(point.at, max(0.0, point.good)) for point in points]),
        ("that it fails", [(point.at, max(0.0, point.bad)) for point in points]),
    ]

    def share(value: float) -> str:
        return f"{value:.0%}"

    bound = [charts.Mark(1.0, "decides", "rollback")]
    return _chart(record, "evidence on errors", series, share, limits=bound, moments=switches, least=1.0)


def _chart(
    record: DecisionRecord,
    name: str,
    series: Sequence[Series],
    show: Callable[[float], str],
    *,
    limits: Sequence[charts.Mark] = (),
    moments: Sequence[charts.Mark] = (),
    soft: str | None = None,
    least: float = 0.0,
    step: float = 1.0,
) -> Chart | None:
    """One chart, or None when nothing was measured. The line named ``soft`` stays in the background."""
    lines: list[charts.Line] = []
    colours = iter(_KINDS * len(series))
    for line, points in series:
        kind = "soft" if line == soft else next(colours)
        placed = tuple((_offset(record, at), value) for at, value in points if value is not None)
        if placed:
            lines.append(charts.Line(line, placed, kind))
    if not lines:
        return None
    note = f"highest {show(max(value for line in lines for _, value in line.points))}"
    picture = charts.line_chart(
        f"{name} over time, {note}", lines, show=show, limits=limits, moments=moments, least=least, step=step
    )
    named = [(line.kind, line.name) for line in lines] + [(f"limit {mark.kind}", mark.text) for mark in limits]
    return Chart(name, note, picture, tuple(named))


def _offset(record: DecisionRecord, at: datetime) -> float:
    return (at - record.started_at).total_seconds()
