"""Watches a held deployment after its command has ended, and rolls it back when the evidence or the time says so.

Started by the gate, never by hand: ``python -m gate.keeper ENVIRONMENT ROOT DEPLOYMENT``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gate import engines, holding, shell
from gate.commands import Commands
from gate.environments import load
from gate.errors import GateError
from gate.results import Decision
from gate.store import Store
from gate.terminal import Terminal
from gate.watch import Watch

EVERY = 1.0
"""Seconds between two looks."""


def main(arguments: list[str]) -> int:
    """Returns 0 when somebody else has decided, otherwise the exit code of the rollback."""
    name, root, number = arguments
    environment = load(name, Path(root))
    terminal = Terminal(sys.stdout, environment.redactor)
    store = Store(environment.state_folder / "gate.db")
    hold = holding.find(store)
    if hold is None or hold.deployment.id != int(number):
        return 0
    why = f"nobody decided within {environment.traffic.hold_for:g} s"
    engine = engines.create(environment)
    candidate = engine.find(f"r{number}")
    stable = engine.find(hold.deployment.stable_instance) if hold.deployment.stable_instance else None
    left = (hold.until(environment) - holding.now()).total_seconds()
    watch = None
    if hold.share and candidate is not None:
        file = environment.state_folder / "runs" / number / "held.jsonl"
        watch = Watch(environment, candidate, stable, file)
        watch.start()
        watch.begin(hold.share, left)

    def decided() -> bool:
        bad = watch is not None and watch.standing.decision is Decision.ROLLBACK
        return bad or holding.find(store) != hold

    try:
        shell.wait_until(decided, timeout=left, every=EVERY)
        if watch is not None and watch.standing.decision is Decision.ROLLBACK:
            why = "; ".join(item.text for item in watch.standing.reasons)
    finally:
        if watch is not None:
            watch.stop()
    if holding.find(store) != hold:
        return 0
    door = "python deploy_gate.py"
    try:
        return (
            Commands(environment, terminal, door=door, command=f"{door} {name} rollback").give_up(why).outcome.exit_code
        )
    except GateError as fault:
        terminal.say(f"error: {fault}")
        return 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
