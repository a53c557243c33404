"""A record in which every text that comes from elsewhere tries to run a script."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gate.redact import Redactor
from gate.report import document
from gate.report.record import MonitoringRecord, TickRecord
from gate.results import Decision
from tests.report import samples

PAYLOAD = "</script></pre></svg><img src=x onerror=ran()><script>ran()</script>\"'><svg onload=ran()>{{7*7}}"

# Values of our own lists, times and file names: the schema admits nothing else there.
OURS = {
    "outcome",
    "severity",
    "decision",
    "status",
    "unit",
    "kind",
    "page",
    "at",
    "started_at",
    "ended_at",
    "decided_at",
}
OURS |= {"captured_at", "until", "next_at"}


def record() -> dict[str, Any]:
    made = _spoilt(document.to_json(samples.rolled_back(), Redactor()), "")
    other = document.to_json(replace(samples.released(), monitoring=_monitoring()), Redactor())
    made["files"] = other["files"]
    made |= {name: _spoilt(other[name], name) for name in ("traffic", "monitoring")}
    made["notes"].append(f"team was not told (rolled_back: {PAYLOAD}): refused with status 400")
    assert isinstance(made, dict)
    return made


def _monitoring() -> MonitoringRecord:
    at = samples.released().ended_at
    tick = TickRecord(1, at, 0.4, Decision.HOLD, ("a reason",), ("a note",), "alerted")
    return MonitoringRecord(at, "1 of 20 ticks", "a red tick", 20, (2,), at, (tick,))


def _spoilt(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        free = key in {"contacts", "versions", "inputs"}
        return {name + PAYLOAD if free else name: _spoilt(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_spoilt(item, key) for item in value]
    return value + PAYLOAD if isinstance(value, str) and key not in OURS else value
