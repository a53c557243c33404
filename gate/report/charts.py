"""The pictures of the report, as inline SVG: built as an element tree, so that every text in them is escaped.

Colours are classes of the style sheet. Each picture stands beside the figures it shows, or carries a label that says
them, so that nobody needs to see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from gate.report import wording
from gate.report.record import ResponseTime, StepRecord

Point = tuple[float, float]


def picture(width: float, height: float, label: str = "", *, stretch: bool = False) -> Element:
    """An empty picture; without a ``label`` it only repeats what stands beside it."""
    svg = Element("svg", {"viewBox": f"0 0 {width:g} {height:g}"})
    if stretch:
        svg.set("preserveAspectRatio", "none")
    if label:
        svg.attrib |= {"role": "img", "aria-label": label}
    else:
        svg.set("aria-hidden", "true")
    return svg


def add(parent: Element, tag: str, kind: str, text: str | None = None, **numbers: float | str) -> Element:
    """A shape of a class of the style sheet; ``numbers`` are its attributes, ``_`` for ``-``."""
    attributes = {
        name.replace("_", "-"): value if isinstance(value, str) else f"{value:.2f}" for name, value in numbers.items()
    }
    child = SubElement(parent, tag, {"class": kind, **attributes})
    child.text = text
    return child


def markup(svg: Element) -> Markup:
    """The picture for a template."""
    return Markup(tostring(svg, encoding="unicode"))  # noqa: S704 - the element tree has escaped every text


# --- steps ------------------------------------------------------------------------------------------------------------

_STRIP = 1000.0


def step_bar(step: StepRecord, start: datetime, total: float, decided_at: datetime | None) -> Markup:
    """When a step ran, and when it was taken back, on the time axis of the whole deployment."""
    svg = picture(_STRIP, 16, stretch=True)

    def bar(at: datetime, seconds: float, kind: str) -> None:
        left = _share((at - start).total_seconds(), total) * _STRIP
        width = max(_share(seconds, total) * _STRIP, 5.0)
        add(svg, "rect", f"bar {kind}", x=min(left, _STRIP - width), y=3, width=width, height=10)

    if step.started_at:
        bar(step.started_at, step.seconds, str(step.status))
    if step.undo and step.undo.started_at:
        bar(step.undo.started_at, step.undo.seconds, "undo" if step.undo.ok else "failed")
    if decided_at:
        x = _share((decided_at - start).total_seconds(), total) * _STRIP
        add(svg, "line", "decided", x1=x, x2=x, y1=0, y2=16)
    return markup(svg)


def _share(value: float, total: float) -> float:
    return min(max(value / total, 0.0), 1.0) if total > 0 else 0.0


# --- response times ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic time axis; positions are shares of its width."""

    low: float
    high: float

    @staticmethod
    def over(values: Sequence[float]) -> LogAxis:
        """Whole decades around ``values`` (seconds), never less than 1 ms to 10 s."""
        positive = [value for value in values if value > 0]
        return LogAxis(
            min([0.001, *(10 ** math.floor(math.log10(value)) for value in positive)]),
            max([10.0, *(10 ** math.ceil(math.log10(value)) for value in positive)]),
        )

    def at(self, value: float) -> float:
        if value <= self.low:
            return 0.0
        return min(math.log(value / self.low) / math.log(self.high / self.low), 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Each decade with its name."""
        decades = round(math.log10(self.high / self.low))
        values = [self.low * 10**step for step in range(decades + 1)]
        return [(self.at(value), wording.duration_tick(value)) for value in values]


def response_bar(row: ResponseTime, axis: LogAxis, limits: Sequence[tuple[str, float]]) -> Markup:
    """How one route's response times spread, with p50, p95 and the limits on p95."""
    svg = picture(_STRIP, 28, stretch=True)
    for position, _ in axis.ticks():
        add(svg, "line", "grid", x1=position * _STRIP, x2=position * _STRIP, y1=0, y2=28)
    if row.histogram and (tallest := max(row.histogram.counts)):
        edges = [axis.low, *row.histogram.bounds, axis.high]
        for left, right, many in zip(edges, edges[1:], row.histogram.counts, strict=False):
            x, end, height = axis.at(left) * _STRIP, axis.at(right) * _STRIP, 26 * many / tallest
            if many and end > x:
                add(svg, "rect", "histogram", x=x + 1, y=28 - height, width=max(end - x - 2, 1), height=height)
    for kind, value in limits:
        x = axis.at(value) * _STRIP
        add(svg, "line", f"limit {kind}", x1=x, x2=x, y1=0, y2=28)
    for kind, quantile in (("p50", row.p50), ("p95", row.p95)):
        if quantile is not None:
            x = axis.at(quantile) * _STRIP
            add(svg, "line", kind, x1=x, x2=x, y1=2, y2=28)
    return markup(svg)


# --- values over time -------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT = 440.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 12.0, 12.0, 24.0
_LONGEST = 28
"""Letters of a moment's name; the table beside the picture has all of it."""
_LETTER = 7.0
"""The width of a letter at most, nearly always."""


@dataclass(frozen=True)
class Line:
    """A series of a chart: ``kind`` is its class in the style sheet."""

    name: str
    points: tuple[Point, ...]
    kind: str


@dataclass(frozen=True)
class Mark:
    """A limit on the values or a moment in time, and what it is called."""

    at: float
    text: str
    kind: str = ""


def line_chart(
    label: str,
    lines: Sequence[Line],
    *,
    show: Callable[[float], str],
    limits: Sequence[Mark] = (),
    moments: Sequence[Mark] = (),
    least: float = 0.0,
    step: float = 1.0,
) -> Markup:
    """Values over seconds since the start; ``label`` says in words what the picture shows.

    The axis reaches ``least`` at least, and ends on a round multiple of ``step``.
    """
    points = [point for line in lines for point in line.points]
    times = [x for x, _ in points]
    first, last = min(times), max(times)
    span = last - first or 1.0
    top = nice(max([least, *(y for _, y in points), *(mark.at for mark in limits)]) / step) * step
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> Point:
        return _LEFT + (x - first) / span * wide, _TOP + (1 - y / top) * high

    svg = picture(_WIDTH, _HEIGHT, label)
    for part in (0.0, 0.5, 1.0):
        _, y = place(first, top * part)
        add(svg, "line", "grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y)
        add(svg, "text", "axis", show(top * part), x=_LEFT - 6, y=y + 4, text_anchor="end")
    for moment, anchor in ((first, "start"), (last, "end")):
        x, _ = place(moment, 0)
        add(svg, "text", "axis", f"+{wording.seconds(moment)}", x=x, y=_HEIGHT - 6, text_anchor=anchor)
    for mark in moments:
        if first <= mark.at <= last:
            x, _ = place(mark.at, 0)
            add(svg, "line", "moment", x1=x, x2=x, y1=_TOP, y2=_HEIGHT - _BOTTOM)
            text = mark.text if len(mark.text) <= _LONGEST else f"{mark.text[: _LONGEST - 1]}…"
            half = len(text) * _LETTER / 2
            inside = min(max(x, half), _WIDTH - half)
            add(svg, "text", "axis", text, x=inside, y=_TOP - 2, text_anchor="middle")
    for mark in limits:
        _, y = place(first, mark.at)
        add(svg, "line", f"limit {mark.kind}", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y)
    for line in lines:
        placed = [place(x, y) for x, y in line.points]
        if len(placed) == 1:
            add(svg, "circle", f"dot {line.kind}", cx=placed[0][0], cy=placed[0][1], r=2.5)
        else:
            add(svg, "polyline", f"line {line.kind}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in placed))
    return markup(svg)


def nice(value: float) -> float:
    """The next round figure, for an axis to end on."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    figures = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
    return next(figure * power for figure in figures if figure * power >= value * 0.999)
