"""Runs one command of the team's at a time, and ends what a killed gate left of the one before.

What a command starts and leaves running, the application above all, is not its own: only its process group is ended.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gate.machine import shell
from gate.machine.supervise import tail

_GRACE = 10.0  # seconds a command gets to end when nobody waits for it any more


@dataclass(frozen=True)
class Ran:
    """How a command ended: ``code`` is None when it took too long; ``said`` are its last lines."""

    code: int | None
    said: list[str]
    seconds: float


class Runner:
    """Commands of one environment. ``folder`` keeps which one runs, and what it prints."""

    def __init__(self, folder: Path) -> None:
        self._known = folder / "command.json"
        self._log = folder / "command.log"

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float) -> Ran:
        """Runs a command to its end. Raises ShellError when it cannot be started, OSError for a full disk."""
        self._known.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._end_left()
        self._log.unlink(missing_ok=True)
        began = time.monotonic()
        # Into a file: what it leaves running may hold its output open for ever.
        child = shell.spawn(argv, env=env, cwd=cwd, log=self._log)
        try:
            self._remember(child.pid)
            ended = shell.wait_until(lambda: child.poll() is not None, timeout=timeout)
        finally:  # also after Ctrl-C: it must not go on beside what undoes it
            if child.poll() is None:
                _end_group(child.pid)
                child.wait(_GRACE)
        with suppress(OSError):
            self._known.unlink()
        return Ran(child.returncode if ended else None, tail(self._log, 8), time.monotonic() - began)

    def _remember(self, pid: int) -> None:
        import psutil

        with suppress(psutil.Error):
            new = self._known.with_suffix(".new")
            new.write_text(json.dumps({"pid": pid, "started": psutil.Process(pid).create_time()}))
            new.replace(self._known)

    def _end_left(self) -> None:
        import psutil

        try:
            known = json.loads(self._known.read_text(encoding="utf-8"))
            pid, started = int(known["pid"]), known["started"]
        except (OSError, ValueError, LookupError, TypeError):
            return
        with suppress(psutil.Error):
            if psutil.Process(pid).create_time() != started:
                return  # its number was given to somebody else
        # Where it has ended itself, its number is not given away while anything of its group is left.
        _end_group(pid)


def _end_group(pid: int) -> None:
    """Asks a process group to end, then makes it: also those that outlive the one that leads it."""
    if shell.ask_group(pid, signal.SIGTERM):
        shell.wait_until(lambda: not _lives(pid), timeout=_GRACE)
    shell.kill_group(pid)
    shell.wait_until(lambda: not _lives(pid), timeout=_GRACE)


def _lives(group: int) -> bool:
    """Whether any process of a group runs; one that has ended and that nobody collects does not."""
    import psutil

    if not hasattr(os, "getpgid"):
        return psutil.pid_exists(group)
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                return True
    return False
