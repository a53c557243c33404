"""The page of all deployments of an environment: one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from markupsafe import Markup

from gate.config.measuring import Baseline
from gate.judging.dora import WINDOW, Measure
from gate.judging.gaps import Seen
from gate.report import bars, charts, html, wording
from gate.results import Outcome

_FOLDER = Path(__file__).parent / "templates"
CHARTED = 40
"""Deployments that a chart shows, the newest."""
WEEKS = 13
SHOWN = 500
"""Deployments that the table lists, the newest."""
_CONCLUDED = (Outcome.RELEASED, Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED)


@dataclass(frozen=True)
class Row:
    """One run; ``report`` is the file to open, from this page on, empty where there is none; ``emergency`` is why it
    did not wait for what it had to, empty where it did."""

    id: int
    action: str
    origin: str
    version: str
    outcome: Outcome | None
    started: datetime
    ended: datetime | None
    by: str
    why: str
    report: str
    readiness: float | None
    emergency: str = ""

    @property
    def tone(self) -> str:
        return wording.TONES[self.outcome] if self.outcome is not None else "calm"

    @property
    def title(self) -> str:
        return wording.TITLES[self.outcome] if self.outcome is not None else "Unfinished"

    @property
    def seconds(self) -> float | None:
        return (self.ended - self.started).total_seconds() if self.ended is not None else None


@dataclass(frozen=True)
class OpenGap:
    """A gap that nobody has resolved, and the deployment that found it."""

    seen: Seen
    opened_in: int
    opened_at: str


@dataclass(frozen=True)
class Compared:
    """A measure beside what the team knew from before; ``change`` tells how much better, where that can be said."""

    title: str
    before: str
    now: str
    change: str
    tone: str


@dataclass(frozen=True)
class Picture:
    """A chart with its heading, and in ``legend`` the class and name of each colour in it."""

    name: str
    note: str
    picture: Markup
    legend: tuple[tuple[str, str], ...]


def render(
    *,
    app: str,
    environment: str,
    minimum: float,
    rows: Sequence[Row],
    serves: int | None,
    measures: Sequence[Measure],
    baseline: Baseline,
    gaps: Sequence[OpenGap],
    tally: str,
    owed: Sequence[str],
    now: datetime,
    redact: Callable[[str], str],
) -> str:
    """The whole page; ``rows`` newest first, ``serves`` the run whose release does, ``owed`` a sentence for each
    emergency that is still to be signed for."""
    return (
        html.templates()
        .get_template("index.html")
        .render(
            app=app,
            environment=environment,
            now=now,
            days=WINDOW.days,
            statement=statement(rows, serves),
            newest=rows[0] if rows else None,
            rows=rows[:SHOWN],
            left_out=max(0, len(rows) - SHOWN),
            measures=measures,
            value=value,
            compared=compared(measures, baseline),
            charts=pictures(rows, minimum, now),
            gaps=[(gap, redact(gap.seen.title or gap.seen.case), redact(gap.seen.message)) for gap in gaps],
            tally=tally,
            owed=owed,
            style=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        )
    )


def statement(rows: Sequence[Row], last: int | None) -> str:
    """What serves as far as the records know, since the run ``last``; and how the newest run ended where that is
    something else."""
    if not rows:
        return "Nothing was deployed yet."
    newest = rows[0]
    serves = next((row for row in rows if row.id == last), None)
    told = f"{serves.version} serves since run {serves.id}." if serves else "Nothing was released yet."
    if serves is not None and newest.id == serves.id:
        return told
    what = {"deploy": "", "plan": "dry run of "}.get(newest.action, f"{newest.action} to ")
    return f"{told} The newest run, {newest.id}, {what}{newest.version}: {newest.title.lower()}."


def value(measure: Measure) -> str:
    """A measure with its unit; a dash where nothing can be said."""
    if measure.value is None:
        return "–"
    if measure.unit == "share":
        return f"{measure.value:.0%}".replace("%", " %")
    if measure.unit == "seconds":
        return wording.span(measure.value)
    return f"{measure.value:.1f}"


def compared(measures: Sequence[Measure], baseline: Baseline) -> list[Compared]:
    """Each key of the baseline that is set, beside its measure."""
    by_name = {measure.name: measure for measure in measures}
    made = []
    if baseline.success is not None:
        measure = by_name["success_rate"]
        points = (measure.value - baseline.success) * 100 if measure.value is not None else None
        change = f"{points:+.0f} points".replace("-", "−") if points is not None else measure.missing
        tone = "" if points is None else "better" if points > 0 else "worse" if points < 0 else ""
        made.append(Compared(measure.title, f"{baseline.success * 100:.0f} %", value(measure), change, tone))
    spans = (
        ("deployment_time", baseline.deployment),
        ("rollback_time", baseline.rollback),
        ("detection_time", baseline.detection),
        ("time_to_restore", baseline.restore),
    )
    for name, span in spans:
        if span is not None:
            measure, (low, high) = by_name[name], span
            before = wording.span(low) if low == high else f"{wording.span(low)} to {wording.span(high)}"
            change, tone = _times(measure, (low + high) / 2)
            made.append(Compared(measure.title, before, value(measure), change, tone))
    return made


def _times(measure: Measure, before: float) -> tuple[str, str]:
    """How many times quicker or slower than the middle of what it was."""
    if measure.value is None:
        return measure.missing, ""
    if measure.value <= 0 or before <= 0:
        return "–", ""
    if measure.value <= before:
        return f"{_round(before / measure.value)} times as quick", "better"
    return f"{_round(measure.value / before)} times as slow", "worse"


def _round(factor: float) -> str:
    return f"{factor:.1f}" if factor < 10 else f"{factor:,.0f}"


def pictures(rows: Sequence[Row], minimum: float, now: datetime) -> list[Picture]:
    """Deployments a week, how long each took, how ready each release was; each only where there is something."""
    deployed = [row for row in rows if row.action == "deploy"]
    concluded = [row for row in reversed(deployed) if row.outcome in _CONCLUDED and row.seconds is not None][-CHARTED:]
    rated = [row for row in reversed(rows) if row.readiness is not None][-CHARTED:]
    made = []
    if deployed:
        made.append(_weekly(deployed, now))
    if len(concluded) > 1:
        told = [
            bars.Bar(
                str(row.id), ((row.tone, row.seconds or 0.0),), f"{_name(row)}: {wording.span(row.seconds or 0.0)}"
            )
            for row in concluded
        ]
        longest = max(row.seconds or 0.0 for row in concluded)
        note = f"the last {len(concluded)}, longest {wording.span(longest)}"
        picture = bars.chart(f"time of each deployment, {note}", told, show=wording.span)
        made.append(Picture("Time of each deployment", note, picture, _legend(concluded)))
    if len(rated) > 1:
        told = [
            bars.Bar(
                str(row.id),
                (("accent" if (row.readiness or 0) >= minimum else "warn", row.readiness or 0.0),),
                f"{_name(row)}: {row.readiness:.0f} of 100",
            )
            for row in rated
        ]
        note = f"the newest {rated[-1].readiness:.0f} of 100"
        limit = [charts.Mark(minimum, f"needed, {minimum:g}", "go")]
        picture = bars.chart(f"readiness of each run, {note}", told, show=wording.count, limits=limit)
        made.append(Picture("Readiness", note, picture, (("limit go", limit[0].text),)))
    return made


def _weekly(deployed: Sequence[Row], now: datetime) -> Picture:
    """How the deployments of each week ended."""
    weeks = [now - timedelta(weeks=number) for number in reversed(range(WEEKS))]
    drawn = []
    for end in weeks:
        own = [row for row in deployed if end - timedelta(weeks=1) < row.started <= end]
        many = Counter(row.tone for row in own)
        parts = tuple((tone, float(many[tone])) for tone in ("good", "warn", "bad", "calm") if many[tone])
        told = ", ".join(f"{number} {title}" for title, number in Counter(row.title for row in own).items())
        drawn.append(bars.Bar(f"{end:%d %b}", parts, f"week to {end:%d %b}: {told}"))
    shown = [row for row in deployed if row.started > weeks[0] - timedelta(weeks=1)]
    note = f"{len(shown)} in {WEEKS} weeks"
    return Picture(
        "Deployments a week", note, bars.chart(f"deployments a week, {note}", drawn, show=wording.count), _legend(shown)
    )


def _legend(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.title.lower() not in found.setdefault(row.tone, []):
            found[row.tone].append(row.title.lower())
    return tuple((tone, ", ".join(found[tone])) for tone in ("good", "warn", "bad", "calm") if tone in found)


def _name(row: Row) -> str:
    return f"{row.id}, {row.version}, {row.title.lower()}"
