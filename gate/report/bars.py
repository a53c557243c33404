"""Bar charts of the page of all deployments, as SVG; each carries a label that says in words what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gate.report.charts import Mark, add, markup, nice, picture

_WIDTH, _HEIGHT = 440.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 12.0, 12.0, 24.0


@dataclass(frozen=True)
class Bar:
    """One bar: its parts from the bottom up as (class of the style sheet, value), and what it says when pointed at."""

    name: str
    parts: tuple[tuple[str, float], ...]
    told: str


def chart(label: str, bars: Sequence[Bar], *, show: Callable[[float], str], limits: Sequence[Mark] = ()) -> Markup:
    """Bars side by side, at most as wide as a tenth of the picture; the first and the last have their names below."""
    tallest = max([sum(value for _, value in bar.parts) for bar in bars] + [mark.at for mark in limits] + [0.0])
    top = nice(tallest)
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    slot = min(wide / max(len(bars), 1), wide / 10)
    svg = picture(_WIDTH, _HEIGHT, label)

    def y_of(value: float) -> float:
        return _TOP + (1 - value / top) * high

    for part in (0.0, 0.5, 1.0):
        add(svg, "line", "grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y_of(top * part), y2=y_of(top * part))
        add(svg, "text", "axis", show(top * part), x=_LEFT - 6, y=y_of(top * part) + 4, text_anchor="end")
    for number, bar in enumerate(bars):
        bottom = 0.0
        for kind, value in bar.parts:
            if value > 0:
                x, y = _LEFT + number * slot + slot * 0.12, y_of(bottom + value)
                height = max(y_of(bottom) - y, 1.0)
                drawn = add(svg, "rect", f"col {kind}", x=x, y=y, width=slot * 0.76, height=height)
                add(drawn, "title", "", bar.told)
                bottom += value
    named = [(0, "start"), (len(bars) - 1, "end")] if len(bars) > 1 else [(0, "start")] if bars else []
    for number, anchor in named:
        x = _LEFT + number * slot + (slot if anchor == "end" else 0)
        add(svg, "text", "axis", bars[number].name, x=x, y=_HEIGHT - 6, text_anchor=anchor)
    for mark in limits:
        add(svg, "line", f"limit {mark.kind}", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y_of(mark.at), y2=y_of(mark.at))
    return markup(svg)
