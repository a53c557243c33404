"""The charts of the page: what was used and what traffic saw, over the time of the deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from gate.report import charts, wording
from gate.report.record import DecisionRecord


def limits(record: DecisionRecord, signal: str) -> list[tuple[str, float]]:
    """The limits in force on a signal, as (``go`` or ``rollback``, value)."""
    rule = next((rule for rule in record.rules if rule.signal == signal), None)
    pairs = (("go", rule.go_value), ("rollback", rule.rollback_value)) if rule else ()
    return [(kind, value) for kind, value in pairs if value is not None]


@dataclass(frozen=True)
class Chart:
    """A picture with its heading and, in ``legend``, the class and name of each line."""

    name: str
    note: str
    picture: Markup
    legend: tuple[tuple[str, str], ...] = ()


_KINDS = ("line-1", "line-2", "line-3", "line-4")


def usage(record: DecisionRecord) -> list[Chart]:
    """CPU and memory of each service over the deployment, each phase a line, against its limit and the rules."""
    made: list[Chart] = []
    for service in dict.fromkeys(series.service for series in record.resources):
        mine = [series for series in record.resources if series.service == service]
        for signal, field, factor, unit in (("cpu", "cpu", 1.0, "cores"), ("memory", "memory", 2.0**-20, "MB")):
            lines = [
                charts.Line(
                    series.phase,
                    tuple(
                        (_offset(record, sample.at), value * factor)
                        for sample in series.samples
                        if (value := getattr(sample, field)) is not None
                    ),
                    kind,
                )
                for series, kind in zip(mine, _kinds(len(mine)), strict=True)
            ]
            values = [y for line in lines for _, y in line.points]
            if not values:
                continue
            limit = next((found * factor for series in mine if (found := getattr(series, f"{field}_limit"))), None)
            marks = [charts.Mark(limit, f"limit {limit:g} {unit}", "hard")] if limit else []
            if limit:
                marks += [
                    charts.Mark(share * limit, f"{kind} {share:.0%}", kind)
                    for kind, share in limits(record, signal)
                    if share < 1
                ]
            note = f"peak {max(values):.3g} {unit}" + (f" of {limit:g}" if limit else ", no limit set")
            name = f"{service}: {field}"
            picture = charts.line_chart(f"{name} over time, {note}", lines, show=_figure, limits=marks)
            made.append(Chart(name, note, picture, tuple((line.kind, line.name) for line in lines)))
    return made


def traffic(record: DecisionRecord) -> list[Chart]:
    """Requests, error share and p95 of each release over time, with each switch marked."""
    if not record.traffic or not record.traffic.samples:
        return []
    samples = record.traffic.samples
    releases = list(dict.fromkeys(sample.release for sample in samples))
    switches = [charts.Mark(_offset(record, switch.at), f"→ {switch.to_release}") for switch in record.traffic.switches]
    made: list[Chart] = []
    for name, value, show in (
        ("requests", lambda s: float(s.requests), _figure),
        ("errors", lambda s: s.errors / s.requests if s.requests else None, lambda v: f"{v * 100:.3g} %"),
        ("p95", lambda s: s.p95, wording.seconds),
    ):
        lines = [
            charts.Line(
                release,
                tuple(
                    (_offset(record, sample.at), found)
                    for sample in samples
                    if sample.release == release and (found := value(sample)) is not None
                ),
                kind,
            )
            for release, kind in zip(releases, _kinds(len(releases)), strict=True)
        ]
        values = [y for line in lines for _, y in line.points]
        if values:
            note = f"highest {show(max(values))}"
            picture = charts.line_chart(f"{name} over time, {note}", lines, show=show, moments=switches)
            made.append(Chart(name, note, picture, tuple((line.kind, line.name) for line in lines)))
    return made


def _kinds(many: int) -> Sequence[str]:
    return [_KINDS[index % len(_KINDS)] for index in range(many)]


def _offset(record: DecisionRecord, at: datetime) -> float:
    return (at - record.started_at).total_seconds()


def _figure(value: float) -> str:
    return f"{value:g}"
