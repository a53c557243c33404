"""Runs a command that kills itself, or what it works with: ``python killing.py VICTIM POINT MOMENT SIGINT_AT COMMAND``
in a project. VICTIM is ``gate``, ``postgres``, ``cache``, ``proxy``, ``stable`` or ``candidate``; COMMAND is ``deploy
VERSION``, ``rollback VERSION``, ``restore BACKUP``, ``keep`` or ``give-up``.

POINT counts the writes to the journal from 0; MOMENT is ``before`` or ``after`` that write, or seconds after it.
With SIGINT_AT, a step (may be empty), the run interrupts itself when that step begins, so that its undo is walked too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))

from gate.commands.changing import Commands
from gate.deployment.run import Options
from gate.environments import load
from gate.records import place_of
from gate.records.place import Place
from gate.records.store import Store
from gate.redact import Redactor
from gate.terminal.answers import Answer
from gate.terminal.terminal import Terminal

MISSED = 99
"""The exit code of a run whose victim was not there."""


def kill(victim: str) -> None:
    """kill -9 of this gate, or of the process (with all that it has started) that the lock file of a part names."""
    state = Path(".gate/local")
    if victim == "gate":
        os.kill(os.getpid(), signal.SIGKILL)
    served = (state / "traffic" / "stable").readlink().name
    places = {"stable": state / "rel" / served / "web.lock", "candidate": newest(state) / "web.lock"}
    if victim == "candidate":
        with suppress(ProcessLookupError, FileNotFoundError, IndexError):  # it does not run yet, or any more
            os.killpg(int(places[victim].read_text().split()[0]), signal.SIGKILL)
        return
    try:
        (file,) = [places[victim]] if victim in places else (state / "stack").rglob(f"{victim}.lock")
        os.killpg(int(file.read_text().split()[0]), signal.SIGKILL)
    except (OSError, IndexError, ValueError):  # a kill that hits nobody proves nothing
        os._exit(MISSED)


def newest(state: Path) -> Path:
    """The instance that was started last."""
    started = [folder for folder in (state / "rel").glob("r*") if folder.name[1:].isdecimal()]
    return max(started, key=lambda folder: int(folder.name[1:]))


class Killing(Store):
    """The ordinary records; the victim dies at one write of a journal."""

    def __init__(self, place: Place, point: int, moment: str, victim: str) -> None:
        super().__init__(place)
        self._left, self._moment, self._victim = point, moment, victim

    def write(self, deployment: int, step: str, kind: str, facts: dict[str, Any]) -> None:
        here, self._left = self._left == 0, self._left - 1
        if here and self._moment == "before":
            kill(self._victim)
        super().write(deployment, step, kind, facts)
        if here and self._moment == "after":
            kill(self._victim)
        elif here and self._moment != "before":
            timer = threading.Timer(float(self._moment), kill, [self._victim])
            timer.daemon = True
            timer.start()


class Interrupting(Terminal):
    """The ordinary view, and a Ctrl-C when a step begins."""

    def __init__(self, at: str) -> None:
        super().__init__(sys.stderr, Redactor())
        self._at = at

    def step(self, name: str) -> None:
        super().step(name)
        if name == self._at:
            os.kill(os.getpid(), signal.SIGINT)


class Killed(Commands):
    """The ordinary commands on records that kill."""

    def records(self, point: int, moment: str, victim: str) -> Killed:
        self._killing = Killing(place_of(self._environment), point, moment, victim)
        return self

    def _store(self) -> Store:
        return self._killing


def answer_of(commands: Commands, command: str, wanted: str = "") -> Answer:
    """What a command ends with, confirmed by whoever is asked."""
    if command == "deploy":
        return commands.deploy(wanted, Options(again="a test"), dry_run=False, confirm=lambda _question: True)
    if command == "rollback":
        return commands.rollback(wanted, confirm=lambda _question: True)
    if command == "restore":
        return commands.restore(wanted, Options(), confirm=lambda _question: True)
    if command == "keep":
        return commands.keep()
    assert command == "give-up", command
    return commands.give_up("a test")


def main() -> int:
    victim, point, moment, at, *command = sys.argv[1:]
    environment = load("local", Path.cwd())
    commands = Killed(environment, Interrupting(at), door="python deploy_gate.py", command="killing")
    answer = answer_of(commands.records(int(point), moment, victim), *command)
    print(json.dumps(answer.document))
    return answer.outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
