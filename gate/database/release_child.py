"""The frame of every script of ours that runs in a process of the release: the gate never imports a team's modules.

Run as ``python -P release_child.py ANSWERS SCRIPT COMMAND …`` with the release's folder as working directory; SCRIPT's
``run(gate, command, …)`` does the work. Every line of the file ANSWERS is one JSON object, there as soon as it is
known, also when this process is killed; what went wrong is the last one.

Only the standard library and the release's own packages are imported: the gate is not on this process's path.
"""

from __future__ import annotations

import ctypes
import importlib.util
import inspect
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

PR_SET_PDEATHSIG = 1


class WrongDatabase(Exception):  # noqa: N818 - the gate shows this name
    """The release connected to another database than DATABASE_URL names."""


class Gate:
    """What a script may tell the gate and ask of it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        words = os.environ.get("PGOPTIONS", "").replace("-c ", "").split()
        self.settings = [(name, value) for name, _, value in (word.partition("=") for word in words)]
        """The server's settings for a session that migrates: not every driver reads PGOPTIONS (asyncpg, pg8000)."""

    def tell(self, **document: Any) -> None:
        self._out.write(json.dumps(document) + "\n")

    def check_target(self, who: str, ask: Callable[[str], object]) -> None:
        """Raises WrongDatabase where ``ask`` (a query's value) is answered by another database than the gate meant.

        Who takes the URL from elsewhere would have the dry run migrate the live database.
        """
        expected = os.environ.get("GATE_DATABASE_IDENTITY")
        if expected is not None and str(ask(os.environ["GATE_DATABASE_IDENTITY_SQL"])) != expected:
            raise WrongDatabase(f"{who} connects to another database than the variable DATABASE_URL names")


def main(arguments: list[str]) -> int:
    _die_with_the_gate()
    sys.path.insert(0, str(Path.cwd()))
    answers, script, *rest = arguments
    with Path(answers).open("w", encoding="utf-8", buffering=1) as out:
        gate = Gate(out)
        try:
            _load(script).run(gate, *rest)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - many a release ends the process: say so as well
            original = _original(fault)
            text = (str(original).strip() or type(original).__name__).splitlines()[0]
            gate.tell(error=type(original).__name__, message=text, sqlstate=_state(original), at=_place(fault))
            return 1
    return 0


def _load(script: str) -> Any:
    spec = importlib.util.spec_from_file_location("release_script", script)
    assert spec is not None  # noqa: S101 - a .py file always has one
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _die_with_the_gate() -> None:
    """A migration must not go on alone when the gate is killed: the next run would meet it half-way."""
    if "GATE_PID" not in os.environ:  # in a container: the gate holds the other end of our standard input
        threading.Thread(target=_end_with_the_input, daemon=True).start()
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ["GATE_PID"]):
        sys.exit("the gate is gone")


def _end_with_the_input() -> None:
    while os.read(0, 1024):  # not by sys.stdin: its lock would be missed when this process ends first
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def _original(fault: BaseException) -> BaseException:
    """The driver's error below that of SQLAlchemy (``orig``) or Django (the cause)."""
    below = getattr(fault, "orig", None) or fault.__cause__
    return below if isinstance(below, BaseException) and _state(below) else fault


def _state(fault: BaseException) -> Any:
    return getattr(fault, "sqlstate", None) or getattr(fault, "pgcode", None)


def _place(fault: BaseException) -> str:
    """``migrations/versions/0005_x.py:12``: the innermost line of the release's own files that failed."""
    here = str(Path.cwd()) + os.sep
    trace = inspect.getinnerframes(fault.__traceback__) if fault.__traceback__ else []
    places = [f"{item.filename.removeprefix(here)}:{item.lineno}" for item in trace if item.filename.startswith(here)]
    if isinstance(fault, SyntaxError) and fault.filename:
        places.append(f"{fault.filename.removeprefix(here)}:{fault.lineno}")
    return places[-1] if places else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
