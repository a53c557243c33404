"""A deployment that waits for a person: until when, who watches it meanwhile, and the question on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gate
from gate.config import Environment
from gate.deployment.run import Answered, Ask, Run
from gate.judging.limits import Unit, show
from gate.machine import shell
from gate.machine.supervise import Process
from gate.records.store import Deployment, Store
from gate.results import Decision, Outcome, Reason, Verdict

Read = Callable[[], str | None]
"""The line a person has typed since the last call; None without one."""


@dataclass(frozen=True)
class Hold:
    """A held deployment: since when, why, and the candidate's share (0 to 1) of the traffic."""

    deployment: Deployment
    since: datetime
    reasons: tuple[str, ...]
    share: float

    def until(self, environment: Environment) -> datetime:
        """When it is rolled back if nobody has decided."""
        return self.since + timedelta(seconds=environment.traffic.hold_for)

    def told(self, environment: Environment) -> str:
        """One sentence about it."""
        until = self.until(environment).strftime("%Y-%m-%d %H:%M UTC")
        what = f"deployment {self.deployment.id} ({self.deployment.version})"
        return f"{what} is held with {self.share:.0%} of the traffic; it rolls back at {until} unless somebody keeps it"


def find(store: Store) -> Hold | None:
    """The deployment that is held now, None without one. Raises OperationFailed."""
    open_one = store.unfinished()
    if open_one is None or open_one.outcome is not Outcome.HELD:
        return None
    last = next(iter(reversed(store.events(open_one.id))), None)
    if last is None or last.kind != "held":
        return None  # somebody has decided; a run of theirs goes on, or died
    facts = last.facts
    return Hold(open_one, datetime.fromisoformat(last.at), tuple(facts["reasons"]), float(facts["share"]))


def keeper(environment: Environment) -> Process:
    """The process that watches a held deployment when no command runs, and rolls it back in time."""
    return Process(environment.state_folder / "hold", "keeper")


def start_keeper(environment: Environment, deployment: int) -> None:
    """Starts it. Raises OperationFailed when it cannot be started."""
    argv = [sys.executable, "-m", "gate.commands.keeper", environment.name, str(environment.root), str(deployment)]
    package = str(Path(gate.__file__).resolve().parents[1])
    keeper(environment).start(argv, env={**os.environ, "PYTHONPATH": package}, cwd=environment.root)


def asker(environment: Environment, say: Callable[[str], None], read: Read) -> Ask:
    """Asks whoever sits at the terminal. No answer within ``hold_for``, or evidence that it is bad, is ROLLBACK."""

    def ask(run: Run, reasons: Sequence[Reason]) -> Answered:
        seconds = environment.traffic.hold_for
        say("")
        say("HELD  neither proven good nor proven bad:")
        for item in reasons:
            say(f"  why     {item.text}")
        say(f"  keep or rollback?  (rolls back by itself in {show(seconds, Unit.SECONDS)})")
        answers: list[Answered] = []

        def answered() -> bool:
            standing = run.watch.standing if run.watch is not None else None
            if standing is not None and standing.decision is Decision.ROLLBACK:
                run.evidence.live.append((run.clock(), Verdict(standing.decision, standing.reasons)))
                told = "; ".join(item.text for item in standing.reasons)
                answers.append(Answered(Decision.ROLLBACK, f"live traffic decided while it was held: {told}"))
                return True
            line = (read() or "").strip().lower()
            if line in ("keep", "rollback"):
                kept = line == "keep"
                why = f"{run.by} decided to {'keep it' if kept else 'roll back'}"
                answers.append(Answered(Decision.GO if kept else Decision.ROLLBACK, why))
            elif line:
                say("  type keep or rollback")
            return bool(answers)

        shell.wait_until(answered, timeout=seconds, every=0.2)
        return answers[0] if answers else Answered(Decision.ROLLBACK, f"nobody decided within {seconds:g} s")

    return ask


def now() -> datetime:
    return datetime.now(UTC)
