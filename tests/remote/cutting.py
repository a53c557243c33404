"""Runs a command that says where it is, and stops there until the connection was cut: ``python cutting.py POINT DELAY
SIGINT_AT COMMAND`` in a project. COMMAND is ``deploy VERSION``, ``rollback VERSION``, ``keep``, ``give-up`` or
``recover``.

It prints a line of JSON when a step begins, or its undo: points, by the name of each. DELAY seconds after POINT it
prints ``{"cut": true}``; with a DELAY of 0 it goes on once a line is there to be read. With SIGINT_AT, a step (may be
empty), the run interrupts itself when that step begins. The last line is the answer.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))

from gate.commands.changing import Commands
from gate.deployment.run import Options
from gate.environments import load
from gate.errors import GateError, Locked
from gate.records import place_of
from gate.records.store import Store
from gate.redact import Redactor
from gate.results import Outcome
from gate.terminal.answers import Answer
from gate.terminal.terminal import Terminal


def say(**told: Any) -> None:
    print(json.dumps(told), flush=True)


class Points:
    """Where the run is."""

    def __init__(self, wanted: str, delay: float) -> None:
        self._wanted, self._delay = wanted, delay

    def at(self, name: str) -> None:
        say(point=name, at=time.monotonic())
        if name != self._wanted:
            return
        self._wanted = ""
        if self._delay:
            timer = threading.Timer(self._delay, say, kwargs={"cut": True})
            timer.daemon = True
            timer.start()
        else:
            say(cut=True)
            sys.stdin.readline()


class Undone(Store):
    """The ordinary records, which see an undo begin."""

    points: Points

    def write(self, deployment: int, step: str, kind: str, facts: dict[str, Any]) -> None:
        super().write(deployment, step, kind, facts)
        if kind == "undo":
            self.points.at(f"undo {step}")


class Stepping(Terminal):
    """The ordinary view, which sees a step begin; and a Ctrl-C at one."""

    def __init__(self, points: Points, interrupted_at: str) -> None:
        super().__init__(sys.stderr, Redactor())
        self._points, self._interrupted_at = points, interrupted_at

    def step(self, name: str) -> None:
        super().step(name)
        self._points.at(name)
        if name == self._interrupted_at:
            os.kill(os.getpid(), signal.SIGINT)


class Cut(Commands):
    """The ordinary commands on such records."""

    points: Points

    def _store(self) -> Store:
        store = Undone(place_of(self._environment))
        store.points = self.points
        return store


def answer_of(commands: Commands, command: str, wanted: str = "") -> Answer:
    """What a command ends with, confirmed by whoever is asked."""
    if command == "deploy":
        return commands.deploy(wanted, Options(again="a test"), dry_run=False, confirm=lambda _question: True)
    if command == "rollback":
        return commands.rollback(wanted, confirm=lambda _question: True)
    if command == "give-up":
        return commands.give_up("a test")
    return {"keep": commands.keep, "recover": commands.recover}[command]()


def main() -> int:
    point, delay, interrupted_at, *command = sys.argv[1:]
    points = Points(point, float(delay))
    commands = Cut(
        load("local", Path.cwd()), Stepping(points, interrupted_at), door="python deploy_gate.py", command="cutting"
    )
    commands.points = points
    points.at("begin")
    try:
        answer = answer_of(commands, *command)
    except GateError as fault:  # told as the command line tells it
        outcome = Outcome.LOCKED if isinstance(fault, Locked) else Outcome.REFUSED
        say(answer={"outcome": str(outcome), "reasons": [{"text": str(fault)}], "stable": None}, at=time.monotonic())
        return outcome.exit_code
    say(answer=answer.document, at=time.monotonic())
    return answer.outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
