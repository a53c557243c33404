"""Adds to the evidence of a deployment what was seen after it, and seals it once more.

The new folder is made whole beside the old one, the records take its seal, then it takes the old one's place; whoever
is killed in between is followed by one who finishes that. Evidence that is not as it was sealed is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from gate import verify
from gate.config import Environment
from gate.evidence import bundle
from gate.evidence.recording import DECISION, REPORT
from gate.monitoring.standings import Monitored
from gate.records.ledger import Ledger
from gate.records.store import Store
from gate.report import document, html
from gate.report.record import MonitoringRecord, TickRecord


def monitoring(environment: Environment, store: Store, found: Monitored, at: datetime) -> None:
    """Puts how the monitoring of a deployment stands into its record and report.

    Raises GateError where there is no such evidence or it is not as it was sealed, OSError.
    """
    deployment = found.deployment.id
    folder = environment.root / "reports" / environment.name / str(deployment)
    new, ledger = folder.with_name(f"{folder.name}.new"), Ledger(store)
    _finish(folder, new, ledger, deployment)
    seals = ledger.seals(deployment)
    proof = verify.prove(folder, seals=seals, copy=False, environment=environment.name, deployment=deployment)
    shutil.copytree(folder, new, copy_function=os.link)
    made = replace(document.from_json(document.read(new / DECISION)), monitoring=_record(found, at))
    record = document.to_json(made, environment.redactor)
    document.write(record, new / DECISION)
    (new / REPORT).unlink(missing_ok=True)  # the old folder has the same file
    (new / REPORT).write_text(html.render(record), encoding="utf-8")
    broken = proof.checked.manifest.broken
    ledger.seal(deployment, bundle.seal(new, environment.name, deployment, at, broken))
    _finish(folder, new, ledger, deployment)


def _finish(folder: Path, new: Path, ledger: Ledger, deployment: int) -> None:
    """Lets a new folder that the records know take its place; one that they do not know was never finished."""
    if not new.is_dir():
        return
    manifest, seals = new / bundle.MANIFEST, ledger.seals(deployment)
    sealed = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""
    if not seals or sealed != seals[0].sha256:
        shutil.rmtree(new)
        return
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.is_dir():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _record(found: Monitored, at: datetime) -> MonitoringRecord:
    stands = found.standing
    return MonitoringRecord(
        at=at,
        standing=str(stands),
        not_green=stands.not_green,
        planned=stands.planned,
        missed=tuple(slot + 1 for slot in stands.missed),
        next_at=stands.next_at,
        ticks=tuple(
            TickRecord(tick.slot + 1, tick.at, tick.seconds, tick.decision, tick.reasons, tick.notes, tick.acted)
            for tick in stands.ticks
        ),
    )
