"""The report: one HTML file that loads nothing, made from a decision record alone.

Its scripts are named by hash in a content security policy, so that nothing a test name, a log line or a commit message
smuggles in could run even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gate.report import charts, trends, views, wording
from gate.report.document import from_json

_FOLDER = Path(__file__).parent / "templates"


def render(document: Mapping[str, Any]) -> str:
    """The whole page. Raises OperationFailed when ``document`` is not a decision record."""
    record = from_json(document)
    script = (_FOLDER / "report.js").read_text(encoding="utf-8")
    total = (record.ended_at - record.started_at).total_seconds()
    rows = views.rows(record)
    return (
        templates()
        .get_template("report.html")
        .render(
            r=record,
            title=wording.TITLES[record.outcome],
            tone=wording.TONES[record.outcome],
            statement=wording.statement(record),
            total=total,
            tiles=views.tiles(record, total),
            step_bar=lambda step: charts.step_bar(step, record.started_at, total, record.decided_at),
            why=views.why(record),
            says_more=wording.says_more,
            figure=lambda reason: wording.reason_value(reason, record.rules),
            decided=(record.decided_at - record.started_at).total_seconds() if record.decided_at else None,
            rows=rows,
            details_shown=views.DETAILS_SHOWN,
            details_left_out=any(row.case and row.case.details for row in rows[views.DETAILS_SHOWN :]),
            rows_shown=views.ROWS_SHOWN,
            suite_label=views.suite_label,
            counts=views.counts(rows),
            axis=charts.LogAxis.over([v for t in record.response_times for v in (t.p50, t.p95) if v]),
            limits=trends.limits(record, "response_time"),
            response_bar=charts.response_bar,
            usage_charts=trends.usage(record),
            traffic=record.traffic and (record.traffic.switches or record.traffic.samples),
            traffic_charts=trends.traffic(record),
            style=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


@cache
def templates() -> Environment:
    """The templates of every page, with what they share."""

    def printable(value: object) -> object:
        return wording.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=printable,
    )
    made.filters |= {
        "seconds": wording.seconds,
        "size": wording.size,
        "count": wording.count,
        "moment": wording.moment,
        "clock": wording.clock,
        "measured": wording.measured,
        "tick": wording.duration_tick,
        "change": wording.change,
        "input": wording.input_value,
    }
    return made
