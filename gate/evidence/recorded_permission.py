"""Whose word a deployment had, for its decision record."""

from __future__ import annotations

from dataclasses import replace

from gate.approval import attempts, owing
from gate.approval.checklists import ItemState
from gate.deployment.run import Run
from gate.errors import OperationFailed
from gate.report.permission import PermissionRecord


def permission_of(run: Run) -> PermissionRecord | None:
    """Whose word the deployment had, and what people still owe; what cannot be told of it is noted."""
    items: list[ItemState] = []
    try:
        debts = owing.open_debts(run.environment, run.store)
        own = next((item for item in run.store.deployments() if item.id == run.deployment), None)
        if own is not None and own.action in ("deploy", "plan"):
            written = attempts.as_it_was(run.store, own)
            items = attempts.for_run(run.environment, run.store, own) if written is None else written
    except OperationFailed as fault:
        run.note(f"what people have signed and ticked cannot be told: {fault}")
        debts = []
    return PermissionRecord.of(run.evidence.permission, items, debts)


def joined(earlier: PermissionRecord | None, later: PermissionRecord | None) -> PermissionRecord | None:
    """The process that goes on with a deployment does not ask again: what the first one was told stays."""
    if earlier is None or later is None:
        return later or earlier
    return replace(earlier, checklist=later.checklist, debts=later.debts)
