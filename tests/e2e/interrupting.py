"""Runs a deployment that sends itself a signal: ``python interrupting.py VERSION STEP DELAY SIGNAL`` in a project.

SIGNAL may be CANDIDATE: then not the gate is hit, but the candidate is killed.

The signal comes DELAY seconds after STEP has begun, from a thread, as a person's Ctrl-C would.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from gate.commands.changing import Commands
from gate.deployment.run import Options
from gate.environments import load
from gate.redact import Redactor
from gate.terminal.terminal import Terminal


class Interrupting(Terminal):
    """The ordinary terminal view, and a signal once a step has begun."""

    def __init__(self, step: str, delay: float, signal_name: str) -> None:
        super().__init__(sys.stderr, Redactor())
        self._when, self._delay, self._signal = step, delay, signal_name

    def step(self, name: str) -> None:
        super().step(name)
        if name == self._when:
            timer = threading.Timer(self._delay, self._hit)
            timer.daemon = True
            timer.start()

    def _hit(self) -> None:
        if self._signal == "CANDIDATE":
            started = [folder for folder in Path(".gate/local/rel").glob("r*") if folder.name[1:].isdecimal()]
            newest = max(started, key=lambda folder: int(folder.name[1:]))
            os.killpg(int((newest / "web.lock").read_text().split()[0]), signal.SIGKILL)
        else:
            os.kill(os.getpid(), signal.Signals[self._signal])


def main() -> int:
    version, step, delay, number = sys.argv[1:]
    environment = load("local", Path.cwd())
    terminal = Interrupting(step, float(delay), number)
    commands = Commands(environment, terminal, door="python deploy_gate.py", command="interrupting")
    answer = commands.deploy(version, Options(again="a test"), dry_run=False, confirm=lambda _question: True)
    print(json.dumps(answer.document))
    return answer.outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
