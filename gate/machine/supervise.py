"""Processes that outlive the gate: started detached, found again, stopped whole.

A process lives exactly as long as somebody holds the ``flock`` it inherited: the kernel lets go of it when the process
ends, however it ends and even while it is a zombie nobody collects. The pid written into the lock file is trusted only
while the lock is held, so a recycled pid is never signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gate.errors import OperationFailed
from gate.machine import flock, shell

if TYPE_CHECKING:
    import psutil

# Children inherit it, so that workers whose parent was killed can still be told from strangers.
_MARK = "DEPLOY_GATE_PROCESS"

# Processes started by this very gate: their exit codes are ours to collect.
_children: dict[Path, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Ended:
    """How a process ended: ``exit_code`` where it was our child, ``killed`` when it outlived its grace period."""

    exit_code: int | None
    seconds: float
    killed: bool


class Process:
    """One supervised process: ``<name>.lock`` proves that it lives, ``<name>.log`` holds what it printed."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.lock = folder / f"{name}.lock"
        self.log = folder / f"{name}.log"

    def start(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
        """Starts ``argv`` and returns its pid.

        Raises OperationFailed when it runs already, or where no child can hold a lock; ShellError when it cannot be
        started.
        """
        if os.name != "posix":
            raise OperationFailed(f"{self.name}: a process that outlives the gate needs Linux; this is {sys.platform}")
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Somebody asking "alive?" holds the lock for a moment, hence the short patience.
            if not shell.wait_until(lambda: flock.exclusive(descriptor), timeout=1, every=0.01):
                raise OperationFailed(f"{self.name}: runs already ({self.lock} is held)")
            os.ftruncate(descriptor, 0)
            child = shell.spawn(argv, env={**env, _MARK: str(self.lock)}, cwd=cwd, log=self.log, keep=descriptor)
            _children[self.lock] = child
            with contextlib.suppress(OSError):  # a full disk; members() finds it all the same
                os.pwrite(descriptor, str(child.pid).encode(), 0)
            return child.pid
        finally:
            os.close(descriptor)  # the child keeps the lock

    def alive(self) -> bool:
        """Whether the process itself runs; forks that outlive it do not count."""
        return self.held() and not self._headless()

    def held(self) -> bool:
        """Whether the process, or a fork of it, still runs."""
        self.exit_code()  # collects our own child, so that it does not stay a zombie
        try:
            descriptor = os.open(self.lock, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            held = not flock.shared(descriptor)
        finally:
            os.close(descriptor)
        if not held and self.lock in _children:
            # The kernel lets go of a process's files a moment before its exit code can be collected.
            with contextlib.suppress(subprocess.TimeoutExpired):
                _children[self.lock].wait(0.2)
        return held

    def exit_code(self) -> int | None:
        """The exit code of a process this gate started and that has ended, otherwise None."""
        child = _children.get(self.lock)
        return None if child is None else child.poll()

    def pid(self) -> int | None:
        """The pid of the process, or of the group its forks are in, while any of them lives."""
        if not self.held():
            return None
        text = self._written()
        if text.isdigit():
            return int(text)
        # The gate was killed between starting the process and writing its pid, or the disk was full.
        return next((pid for pid in self.members() if _leads_its_group(pid)), None)

    def members(self) -> list[int]:
        """All processes that belong to this one: its descendants by their mark, and whoever holds the lock file."""
        import psutil

        mark, held = str(self.lock), self.held()
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                # Servers that write their state over their environment still hold the lock.
                if process.environ().get(_MARK) == mark or (held and _opened(process, mark)):
                    found.append(process.pid)
        return [pid for pid in found if pid != os.getpid()]

    def send(self, number: int) -> None:
        """Sends a signal to the process; one that has ended is fine."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self, timeout: float) -> bool:
        """Whether the process and its forks ended within ``timeout`` seconds."""
        return shell.wait_until(lambda: not self.held(), timeout=timeout, every=0.02)

    def _headless(self) -> bool:
        import psutil

        text = self._written()
        if not text.isdigit():
            return False
        try:
            return psutil.Process(int(text)).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def stop(self, grace: float, *, number: int = signal.SIGTERM) -> Ended:
        """Ends the process: signal ``number``, at most ``grace`` seconds, SIGKILL for it and all that belongs to it."""
        began = time.monotonic()
        pid = self.pid()
        self.send(number)
        killed = pid is not None and not self.wait(grace)
        if pid is not None:
            shell.kill_group(pid)
        if killed or pid is None:
            self.kill()
        self._settle()
        return Ended(self.exit_code(), time.monotonic() - began, killed)

    def kill(self) -> None:
        """Ends the process and all that belongs to it at once. Raises OperationFailed when something survives."""
        if not self.held() and not self._written():
            return  # never started, or stopped whole
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not self.wait(10):
            raise OperationFailed(f"{self.name}: survived SIGKILL ({self.lock} is still held)")
        self._settle()

    def _settle(self) -> None:
        """Forgets the pid: nothing is left to look for."""
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self.lock, 0)

    def _written(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return self.lock.read_text()
        return ""

    def tail(self, lines: int = 20) -> list[str]:
        """The last lines it printed."""
        return tail(self.log, lines)


def end_all(folder: Path) -> None:
    """Ends every process whose lock lies anywhere below a folder. Raises OperationFailed when one survives."""
    for lock in folder.rglob("*.lock"):
        Process(lock.parent, lock.stem).kill()


def tail(file: Path, lines: int) -> list[str]:
    """The last lines of a text file, read from its end; empty when there is no such file."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = max(0, size - lines * 1024)
            stream.seek(start)
            found = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return found[1 if start else 0 :][-lines:]


def _opened(process: psutil.Process, file: str) -> bool:
    return any(opened.path == file for opened in process.open_files())


def _leads_its_group(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid) == pid
    return False
