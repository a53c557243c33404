"""A record, and the page of all deployments, in which every text from elsewhere tries to run a script or never ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gate import environments
from gate.evidence import index
from gate.judging.gaps import Changes, Seen
from gate.records.ledger import Ledger
from gate.redact import Redactor
from gate.report import document
from gate.report.record import MonitoringRecord, TickRecord
from gate.results import Category, Decision, Outcome, Severity
from tests.evidence.history import a_quarter
from tests.evidence.runs import ENVIRONMENT
from tests.report import samples

PAYLOAD = "</script></pre></svg><img src=x onerror=ran()><script>ran()</script>\"'><svg onload=ran()>{{7*7}}"
LONG = "w" * 300
"""A word that no browser breaks by itself."""

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


def record(payload: str = PAYLOAD) -> dict[str, Any]:
    made = _spoilt(document.to_json(samples.rolled_back(), Redactor()), "", payload)
    other = document.to_json(replace(samples.released(), monitoring=_monitoring()), Redactor())
    made["files"] = other["files"]
    made |= {name: _spoilt(other[name], name, payload) for name in ("traffic", "monitoring")}
    made["notes"].append(f"team was not told (rolled_back: {payload}): refused with status 400")
    assert isinstance(made, dict)
    return made


def index_page(root: Path, payload: str = PAYLOAD) -> str:
    """The page of all deployments; ``root``: an empty folder."""
    (root / "environments").mkdir()
    (root / "environments" / "here.toml").write_text(ENVIRONMENT, encoding="utf-8")
    made = a_quarter()
    for outcome, action in ((Outcome.RELEASED, "deploy"), (Outcome.ROLLED_BACK, "rollback")):
        made.run(outcome, action=action, version=f"1.0.0+{payload}", why=payload, by=payload, serving=1)
    seen = Seen(f"checks/{payload}.py", Category.SECURITY, Severity.CRITICAL, f"Title {payload}", f"Message {payload}")
    Ledger(made.store).track(made.store.deployments(1)[0].id, Changes((seen,), (), (), ()))
    return index.write(environments.load("here", root), made.store, made.now).read_text(encoding="utf-8")


def _monitoring() -> MonitoringRecord:
    at = samples.released().ended_at
    tick = TickRecord(1, at, 0.4, Decision.HOLD, ("a reason",), ("a note",), "alerted")
    return MonitoringRecord(at, "1 of 20 ticks", "a red tick", 20, (2,), at, (tick,))


def _spoilt(value: Any, key: str, payload: str) -> Any:
    if isinstance(value, dict):
        free = key in {"contacts", "versions", "inputs"}
        return {name + payload if free else name: _spoilt(item, name, payload) for name, item in value.items()}
    if isinstance(value, list):
        return [_spoilt(item, key, payload) for item in value]
    return value + payload if isinstance(value, str) and key not in OURS else value
