"""What is told of a run once it has ended: its record and report, the seal on them, what CI shows,
and where it is published.

Nothing here decides: whatever fails is told, and changes no outcome.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gate.deployment.run import Run
from gate.evidence import bundle, index, recording, resealing, standing
from gate.machine.interrupt import Interrupted, Interrupts
from gate.notify import Notifier, say_failures
from gate.records.ledger import Ledger
from gate.results import Outcome
from gate.terminal import actions, runner
from gate.terminal.terminal import Terminal
from gate.watching.serving import Serving

if TYPE_CHECKING:
    from gate.publish import Packed

Note = Callable[[str], None]


@dataclass
class Told:
    """What there is to be shown of a run: its ``report``, as it is named to a person, and the seal on it."""

    report: str | None = None
    manifest: str = ""


def tell(run: Run, outcome: Outcome, next_step: str, report: str, note: Note) -> Told:
    """Does all of it, as far as it works; ``note`` hears what did not."""
    told = Told()

    def stood() -> None:
        run.evidence.standing = standing.track(run)

    _tried("gaps and readiness are not tracked", note, stood)
    _tried("the evidence from before is not proven", note, lambda: resealing.prove(run))
    if _tried("the report could not be written", note, lambda: recording.write(run, outcome, next_step)):
        told.report = report

        def sealed() -> None:
            told.manifest = seal(run)

        _tried("the evidence is not sealed", note, sealed)
    if run.store.lasting:

        def listed() -> None:
            index.write(run.environment, run.store, run.clock())

        _tried("the page of all deployments is not fresh", note, listed)
    elif told.manifest:
        note(f"nothing is recorded, so keep the SHA-256 of its manifest: {told.manifest}")
    return told


def show_standing(run: Run, terminal: Terminal) -> None:
    """What a plan, or a deployment that was refused, tells a person beside its reasons."""
    found, scored = run.evidence.standing, run.evidence.readiness
    if found is None or scored is None or run.journal.began("backup"):
        return

    def shown() -> None:
        measured = {item.name: item.score for item in scored.categories if item.score is not None}
        for line in ["", *(f"  {line}" for line in standing.lines(found, measured, scored.total))]:
            terminal.say(line)

    _tried("gaps and readiness are not told", terminal.note, shown)


def show_job(run: Run, outcome: Outcome, serves: Serving, told: Told, terminal: Terminal) -> None:
    """What a job of GitHub Actions shows of it, where one runs us."""
    if not runner.runs_here(os.environ):
        return

    def shown() -> None:
        for item in actions.annotate(run, outcome):
            terminal.command(str(item))
        text = actions.summary(run, outcome, str(serves), report=told.report, manifest=told.manifest)
        actions.write(os.environ, text)

    _tried("the job shows only a part of it", run.note, shown)


def seal(run: Run) -> str:
    """Seals the evidence as it lies there now; returns the SHA-256 of its manifest. Raises OSError, OperationFailed."""
    broken = run.environment.redactor.tree(run.evidence.unproven)
    made = bundle.seal(run.reports, run.environment.name, run.deployment, run.clock(), broken)
    Ledger(run.store).seal(run.deployment, made)
    return made


def settle(run: Run, notifier: Notifier, told: Told, note: Note) -> None:
    """Waits for the messages that are on their way; what did not arrive is told, and added to the record and report."""
    texts = say_failures(notifier.settle(), note)
    run.evidence.notes += texts
    if not texts or told.report is None:
        return
    _tried("the evidence from before is not proven", note, lambda: resealing.prove(run))
    _tried("the report does not say so", note, lambda: recording.add_notes(run, texts))

    def sealed() -> None:
        told.manifest = seal(run)

    _tried("the evidence is not sealed", note, sealed)


def packed(run: Run) -> Packed | None:
    """The evidence as it is now, ready to be published; None where it is not to be, or cannot be: that is noted."""
    from gate.publish import pack

    targets = run.environment.publish.targets
    if not targets or run.action == "plan":
        return None
    try:
        return pack(run.environment, run.reports, (run.release.version, run.release.commit), targets)
    except Exception as fault:  # noqa: BLE001 - what is published decides nothing; it is told
        run.note(f"the evidence is not published: {type(fault).__name__}: {fault}")
        return None


def publish(run: Run, found: Packed, door: str) -> None:
    """Takes the evidence to where ``[publish]`` says; notes where it is, and what did not work.

    Whoever wants to stop it may: everything is decided.
    """
    again = f"again: {door} {run.environment.name} report publish {run.deployment}"
    interrupts = Interrupts(lambda: None)
    try:
        with interrupts.listening(), interrupts.allowed():
            done = found.send()
    except Interrupted:
        run.note(f"publishing was interrupted; {again}")
        return
    except Exception as fault:  # noqa: BLE001 - what is published decides nothing; it is told
        run.note(f"the evidence is not published: {type(fault).__name__}: {fault}; {again}")
        return
    for item in done:
        run.note(
            f"not published to {item.target}: {item.fault}; {again} --to {item.target}"
            if item.fault
            else f"published to {item.target}: {item.place}"
        )


def _tried(failed: str, note: Note, act: Callable[[], Any]) -> bool:
    try:
        act()
    except Exception as fault:  # noqa: BLE001 - a report that fails never changes an outcome; it is told
        note(f"{failed}: {type(fault).__name__}: {fault}")
        return False
    return True
