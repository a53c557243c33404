"""How a run ended, told: the last lines a person reads, and the document a machine reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gate.approval.signoffs import ANYBODY
from gate.deployment.run import Run
from gate.results import Outcome
from gate.watching.serving import Serving

SHOWN = 5
"""Reasons that are told; the report has all of them."""


@dataclass(frozen=True)
class Answer:
    """How a run ended: its outcome, and the document for ``--json``."""

    outcome: Outcome
    document: dict[str, Any]


def of(run: Run, outcome: Outcome, serves: Serving, *, report: str | None, next_step: str) -> Answer:
    """The answer of a run, free of secrets."""
    document = {
        "outcome": str(outcome),
        "exit_code": outcome.exit_code,
        "environment": run.environment.name,
        "deployment": run.deployment,
        "release": {"version": run.release.version, "digest": run.release.digest},
        "stable": serves.document(),
        "reasons": [
            {
                "signal": item.signal,
                "value": item.value,
                "limit": item.limit,
                "n": item.n,
                "text": item.text,
                "case": item.case,
                "next": item.next_step,
            }
            for item in run.evidence.reasons
        ],
        "conditions": [
            {"name": item.name, "met": item.met, "detail": item.detail}
            for item in (run.evidence.permission.conditions if run.evidence.permission is not None else ())
        ],
        "owed": list(run.evidence.owed),
        "notes": run.evidence.notes,
        "unproven": run.evidence.unproven,
        "gaps": run.evidence.standing.document() if run.evidence.standing else None,
        "report": report,
        "next": next_step,
    }
    return Answer(outcome, run.environment.redactor.tree(document))


def tell(
    say: Callable[..., None], run: Run, outcome: Outcome, serves: Serving, *, report: str | None, next_step: str
) -> None:
    """Says it to a person: the outcome, what is true now, why, and what to type next."""
    good = outcome in (Outcome.RELEASED, Outcome.RESTORED, Outcome.PLANNED)
    say("")
    say(f"{_headline(run, outcome, serves)}  {run.elapsed():.1f} s", "bold green" if good else "bold red")
    reasons = run.evidence.reasons
    for item in reasons[:SHOWN]:
        say(f"  why     {item.text}")
        if item.next_step:
            say(f"          {item.next_step}")
    if len(reasons) > SHOWN:
        say(f"          and {len(reasons) - SHOWN} more, in the report")
    if outcome is Outcome.ROLLBACK_FAILED:
        for role, contact in run.environment.contacts.items():
            say(f"  call    {role}: {contact}")
    for text in run.evidence.owed:
        say(f"  signed  not yet: {text}")
    if next_step:
        say(f"  next    {next_step}")
    if report:
        say(f"  report  {report}")


def next_step(run: Run, outcome: Outcome, door: str) -> str:
    """The command a person types next, if any; ``door`` is how the gate was called."""
    name = run.environment.name
    downgrade = " --allow-downgrade" if run.options.allow_downgrade else ""
    if run.action == "restore":
        return _after_restore(run, outcome, f"{door} {name}")
    if run.stuck:
        backup = (run.evidence.backup or {}).get("id", "BACKUP")
        return f"{door} {name} --version V   deploys a mended release; or {door} {name} restore {backup}"
    own = next((item.next_step for item in run.evidence.reasons if item.next_step), "")
    if outcome is Outcome.REFUSED and own:
        return own
    if outcome is Outcome.RELEASED and run.emergency:
        roles = run.environment.approval.roles or [ANYBODY]
        told = f"{door} {name} approve --role {roles[0]} --deployment {run.deployment}   within 24 h"
        return f"{told}, signatures of {' and of '.join(roles)}"
    back = f"{door} {name} rollback   if users see what the gate could not" if run.stable else ""
    return {
        Outcome.RELEASED: back,
        Outcome.REFUSED: f"fix the gaps, then {door} {name} --version {run.release.version}{downgrade}",
        Outcome.ROLLED_BACK: f"{door} {name} history {run.deployment}",
        Outcome.ROLLBACK_FAILED: f"{door} {name} recover   tries the undo again once the cause is mended",
        Outcome.HELD: f"{door} {name} keep   or   {door} {name} rollback   within "
        f"{run.environment.traffic.hold_for:g} s; then it rolls back by itself",
        Outcome.PLANNED: f"{door} {name} --version {run.release.version}{downgrade}",
    }.get(outcome, "")


def _after_restore(run: Run, outcome: Outcome, door: str) -> str:
    failed = [item for item in run.store.deployments() if item.ended_at is None and item.id != run.deployment]
    return {
        Outcome.RESTORED: f"{door} recover   proves and ends deployment {failed[0].id}" if failed else "",
        Outcome.REFUSED: f"{door} restore {_backup(run)}   once the cause is mended",
        Outcome.ROLLED_BACK: f"{door} history {run.deployment}",
        Outcome.ROLLBACK_FAILED: f"{door} recover   tries the undo again once the cause is mended",
    }.get(outcome, "")


def _backup(run: Run) -> str:
    return str(run.journal.facts("restore beside").get("backup", "BACKUP"))


def _headline(run: Run, outcome: Outcome, serves: Serving) -> str:
    nobody = serves.instance is None and not serves.unknown
    traffic = "traffic points at nothing" if nobody else str(serves)
    if serves.instance is not None:
        traffic = f"traffic points at {serves.instance.version}"
    return {
        Outcome.RELEASED: f"RELEASED  {serves}.",
        Outcome.RESTORED: f"RESTORED  the database is what {_backup(run)} held; {serves}, proven on it.",
        Outcome.ROLLED_BACK: f"ROLLED BACK  {serves}, {'as before' if nobody else 'proven'}.",
        Outcome.REFUSED: f"REFUSED  nothing was touched; {serves}.",
        Outcome.PLANNED: f"GO  {run.release.version} may be deployed; nothing was touched; {serves}.",
        Outcome.INTERRUPTED: f"INTERRUPTED  undone; {serves}.",
        Outcome.HELD: f"HELD  neither proven good nor bad: a person decides; {serves}.",
        Outcome.ROLLBACK_FAILED: f"ROLLBACK FAILED  a person is needed now; {traffic}, not proven.",
    }[outcome]
