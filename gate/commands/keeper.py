"""Watches a held deployment after its command has ended, and rolls it back when the evidence or the time says so.

Started by the gate, never by hand: ``python -m gate.commands.keeper ENVIRONMENT ROOT DEPLOYMENT``.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from gate import engines
from gate.commands.changing import Commands
from gate.config import Environment
from gate.deployment import holding
from gate.engines.base import Engine, Instance
from gate.environments import load
from gate.errors import GateError, Locked, OperationFailed
from gate.judging.way_back import WayBack
from gate.machine import shell
from gate.records.journal import Journal
from gate.records.store import Store
from gate.results import Decision, Outcome, Verdict
from gate.terminal import strays
from gate.terminal.terminal import Terminal
from gate.watching.watch import Watch

EVERY = 1.0
"""Seconds between two looks."""
LOCKED_FOR = 3600.0
"""Seconds that another command may hold the lock without deciding."""


def main(arguments: list[str], log: TextIO = sys.stdout) -> int:
    """Returns 0 when somebody else has decided, otherwise the exit code of the rollback; 4 when it broke itself.

    Its ``log`` is read by people: what it dies of is told there without secrets too, like everything else.
    """

    def write(text: str) -> None:
        with suppress(OSError):  # a full disk: its time still comes
            log.write(text)
            log.flush()

    with strays.heard(write) as heard:
        try:
            return _watch_over(arguments, log, heard)
        except Exception as fault:  # noqa: BLE001 - Python itself would show the secrets in it
            told = f"error: {fault}\n" if isinstance(fault, GateError) else traceback.format_exc()
            write(heard.redact(told))
            return Outcome.ROLLBACK_FAILED.exit_code


def _watch_over(arguments: list[str], log: TextIO, heard: strays.Strays) -> int:
    name, root, number = arguments
    environment = load(name, Path(root))
    heard.redact = environment.redactor
    terminal = Terminal(log, environment.redactor)
    store = Store.of(environment)
    hold = holding.find(store)
    if hold is None or hold.deployment.id != int(number):
        return 0
    why = f"nobody decided within {environment.traffic.hold_for:g} s"
    engine = engines.create(environment)

    def still_held() -> bool:
        try:
            return holding.find(store) == hold
        except OperationFailed as fault:  # whoever decides needs the records too
            terminal.say(str(fault))
            return True

    candidate, stable = _found(engine, hold, still_held, (hold.until(environment) - holding.now()).total_seconds())
    left = (hold.until(environment) - holding.now()).total_seconds()
    watch, live = None, None
    if hold.share and candidate is not None:
        folder = environment.state_folder / "runs" / number
        try:
            journal = Journal(store, hold.deployment.id)
            journal.resume()
            lives = WayBack.of(journal.facts("migrate").get("way_back")).lives
            watch = Watch(
                environment, engine, candidate, stable, folder, held=True, resting=not (lives and engine.beside)
            )
            watch.start()
            watch.begin(hold.share, left)
        except OSError as fault:  # a full disk: its time still comes
            terminal.say(f"nothing can be watched: {fault.strerror}")

    def decided() -> bool:
        bad = watch is not None and watch.standing.decision is Decision.ROLLBACK
        return bad or not still_held()

    try:
        shell.wait_until(decided, timeout=left, every=EVERY)
        if watch is not None and watch.standing.decision is Decision.ROLLBACK:
            live = Verdict(Decision.ROLLBACK, watch.standing.reasons)
            why = "; ".join(item.text for item in live.reasons)
    finally:
        if watch is not None:
            watch.stop()
    return give_up(environment, terminal, still_held, why, live)


def _found(
    engine: Engine, hold: holding.Hold, still_held: Callable[[], bool], seconds: float
) -> tuple[Instance | None, Instance | None]:
    """What is held, and the release before, as the engine knows them; None where there is none.

    What holds a deployment may be that nobody reaches the server. It is waited for as long as that is held: both None
    when the time is up.
    """
    found: list[tuple[Instance | None, Instance | None]] = []

    def told() -> bool:
        stable = hold.deployment.stable_instance
        try:
            found.append((engine.find(f"r{hold.deployment.id}"), engine.find(stable) if stable else None))
        except OperationFailed:
            return not still_held()
        return True

    shell.wait_until(told, timeout=seconds, every=EVERY)
    return found[0] if found else (None, None)


def give_up(
    environment: Environment, terminal: Terminal, still_held: Callable[[], bool], why: str, live: Verdict | None = None
) -> int:
    """Rolls back what is still held; ``live`` is the traffic's verdict, None where nobody has decided.

    A command that only looks in for a moment holds the lock: it is waited for. So is a server that nobody reaches, for
    as long as nothing was begun: what could not be undone is not held any more, and people were told.
    """
    door = "python deploy_gate.py"
    commands = Commands(environment, terminal, door=door, command=f"{door} {environment.name} rollback")
    codes: list[int] = []
    faults: list[str] = []

    def done() -> bool:
        if not still_held():
            codes.append(0)
            return True
        try:
            codes.append(commands.give_up(why, live).outcome.exit_code)
        except Locked:
            return False
        except OperationFailed as fault:
            if str(fault) not in faults:
                faults.append(str(fault))
                terminal.say(f"error: {fault}")
            return False
        except GateError as fault:
            terminal.say(f"error: {fault}")
            codes.append(Outcome.ROLLBACK_FAILED.exit_code)
        return True

    shell.wait_until(done, timeout=LOCKED_FOR, every=EVERY)
    if codes:
        return codes[0]
    return (Outcome.ROLLBACK_FAILED if faults else Outcome.LOCKED).exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
