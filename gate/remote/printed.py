"""A log of requests that a team's command prints, such as ``tail`` on a server, as a file of this machine.

The file is there only while the command runs: whoever judges by it must not take silence for users who are content.
"""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

from gate.config import CommandSettings, Environment
from gate.errors import OperationFailed
from gate.machine import shell
from gate.remote.commands import variables

_BACK = 3600.0  # seconds of the log that are asked for first: whoever reads it looks back, too
_SILENT = 1.0  # seconds without a line: then what was there before has been printed
_FIRST = 15.0  # seconds that may take
_AGAIN = 0.5  # seconds until a command that has ended is run again
_KNOWN = 20_000  # lines that are not taken a second time when it is

_followed: dict[tuple[str, ...], Printed] = {}


def printed(environment: Environment, settings: CommandSettings, argv: Sequence[str]) -> Path:
    """The file that holds what the command prints; one for this process."""
    key = (str(environment.root), environment.name, *argv)
    if key not in _followed:
        _followed[key] = Printed(argv, env=variables(settings), cwd=environment.root)
    return _followed[key].file


class Printed:
    """Keeps a command running for as long as this process lives, and writes down what it prints, each line once."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        self._argv, self._env, self._cwd = argv, env, cwd
        self._folder = Path(tempfile.mkdtemp(prefix="gate-log-"))
        self.file = self._folder / "access.log"
        self._aside = self._folder / "lost"
        self._began = self._since = time.time()
        self._heard_at: float | None = None
        self._known: deque[bytes] = deque(maxlen=_KNOWN)
        self._over, self._current = threading.Event(), threading.Event()
        self._change = threading.Lock()
        self._process: Popen[bytes] | None = None
        atexit.register(self.close)
        threading.Thread(target=self._follow, name="log of requests", daemon=True).start()
        shell.wait_until(self._caught_up, timeout=_FIRST)

    def close(self) -> None:
        """Ends the command and removes the file."""
        self._over.set()
        if self._process is not None and self._process.poll() is None:
            shell.kill_group(self._process.pid)
        with self._change:  # whoever reads writes nothing into it any more
            shutil.rmtree(self._folder, ignore_errors=True)

    def _caught_up(self) -> bool:
        heard = self._heard_at
        return self._current.is_set() or (heard is not None and time.monotonic() - heard > _SILENT)

    def _follow(self) -> None:
        since = self._since - _BACK
        while not self._over.is_set():
            values = {"python": sys.executable, "since": str(int(since))}
            with suppress(OperationFailed, OSError):  # the log is not there, which whoever reads it notices
                argv = [shell.fill(word, values) for word in self._argv]
                self._process = shell.stream(argv, env=self._env, cwd=self._cwd)
                self._read(self._process)
            with self._change, suppress(OSError):
                if not self._over.is_set():
                    self.file.replace(self._aside)
            since = self._since - _SILENT  # what was written meanwhile comes late, and is not lost
            self._over.wait(_AGAIN)

    def _read(self, process: Popen[bytes]) -> None:
        """Appends lines as they are printed, until the command ends."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        again = frozenset(self._known)
        with process.stdout as lines:
            for line in lines:
                if self._over.is_set() or not line.endswith(b"\n"):
                    break
                if line not in again:
                    self._append(line)
        process.wait()

    def _append(self, line: bytes) -> None:
        with self._change:
            if self._over.is_set():
                return
            if self._aside.exists():
                self._aside.replace(self.file)
            with self.file.open("ab", buffering=0) as file:
                file.write(line)
        self._known.append(line)
        self._heard_at = time.monotonic()
        if not self._current.is_set() and _written(line) >= self._began:
            self._current.set()
        self._since = time.time()


def _written(line: bytes) -> float:
    """When, as the line says; 0 where it does not."""
    try:
        return float(json.loads(line)["ts"])
    except (ValueError, LookupError, TypeError):
        return 0.0
