"""The page of all deployments of an environment: ``reports/ENV/index.html``, made anew after every run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from gate.approval import outstanding
from gate.approval.book import Book
from gate.config import Environment
from gate.evidence import courses
from gate.judging import dora, gaps
from gate.records.ledger import Ledger
from gate.records.store import Store
from gate.report import index
from gate.rollback import served

PAGE = "index.html"


def write(environment: Environment, store: Store, now: datetime) -> Path:
    """Writes the page; returns its path. Raises OSError, OperationFailed."""
    folder = environment.root / "reports" / environment.name
    redact = environment.redactor
    ledger = Ledger(store)
    known, scores = ledger.gaps(), ledger.scores()
    forced = {debt.deployment: debt.reason for debt in Book(store).debts()}
    rows = [
        index.Row(
            id=item.id,
            action=item.action,
            origin=redact(item.stable_version or ""),
            version=redact(item.version),
            outcome=item.outcome,
            started=datetime.fromisoformat(item.started_at),
            ended=datetime.fromisoformat(item.ended_at) if item.ended_at else None,
            by=redact(item.by),
            why=redact(item.reasons[0]) if item.reasons else "",
            report=f"{item.id}/report.html" if (folder / str(item.id) / "report.html").is_file() else "",
            readiness=scores[item.id].total if item.id in scores else None,
            emergency=redact(forced.get(item.id, "")),
        )
        for item in store.deployments()
    ]
    serves = served.last(store)
    page = index.render(
        app=environment.app.name,
        environment=environment.name,
        minimum=environment.readiness.minimum,
        rows=rows,
        serves=serves.id if serves is not None else None,
        measures=dora.measures(courses.read(store), now),
        baseline=environment.baseline,
        gaps=[index.OpenGap(gap.seen, gap.opened_in, gap.opened_at) for gap in known if gap.open],
        tally=gaps.told(gaps.tally(known)),
        owed=list(map(redact, outstanding.told(environment, store, now))),
        now=now,
        redact=redact,
    )
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{PAGE}.new"
    try:
        new.write_text(page, encoding="utf-8")
        new.replace(folder / PAGE)
    except OSError:
        new.unlink(missing_ok=True)  # a full disk: the page of before is better than half of one
        raise
    return folder / PAGE
