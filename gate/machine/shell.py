"""Starts processes: the only module that does. Argument lists only, and every call ends in time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gate.errors import ShellError

_TIED = Path(__file__).with_name("tied.py")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with ``{name}`` replaced for the names in ``values``; other braces are left as they are."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code, output and duration in seconds."""

    code: int
    out: str
    err: str
    seconds: float


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    stdin: str | None = None,
    tick: Callable[[], None] | None = None,
    tied: bool = False,
) -> Finished:
    """Runs a command to its end and returns what it printed.

    ``env`` replaces the whole environment when given; ``tick`` is called about once a second while it runs. ``tied``:
    on Linux it dies at once when this process is killed; ``argv`` begins with a whole path then. Raises ShellError when
    it cannot start, runs longer than ``timeout`` seconds, or, with ``check``, exits with anything but 0. On a time-out
    its whole group is killed.
    """
    name = Path(argv[0]).name
    began = time.monotonic()
    alone = [sys.executable, "-I", "-S", str(_TIED), str(os.getpid())] if tied and sys.platform == "linux" else []
    try:
        process = subprocess.Popen(
            [*alone, *argv],
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as fault:
        raise ShellError(f"{name}: could not be started: {fault.strerror}") from None
    try:
        out, err = _communicate(process, stdin, timeout, tick)
    except subprocess.TimeoutExpired:
        kill_group(process.pid)
        _let_go(process)
        raise ShellError(f"{name}: did not end within {timeout:g} s") from None
    except BaseException:  # Ctrl-C: the command must not outlive us
        kill_group(process.pid)
        _let_go(process)
        raise
    finished = Finished(process.returncode, out, err, time.monotonic() - began)
    if check and finished.code != 0:
        tail = "\n".join((err.strip() or out.strip()).splitlines()[-8:])
        raise ShellError(f"{name}: exit code {finished.code}{': ' + tail if tail else ''}")
    return finished


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, keep: int | None = None
) -> subprocess.Popen[bytes]:
    """Starts a command that outlives the gate: in a session of its own, its output appended to ``log``.

    ``env`` is its whole environment; it inherits the file descriptor ``keep``, if any, and no other. Raises ShellError.
    """
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        try:
            return subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=() if keep is None else (keep,),
                start_new_session=True,
            )
        except OSError as fault:
            raise ShellError(f"{Path(argv[0]).name}: could not be started: {fault.strerror}") from None


def stream(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    """Starts a command whose output is read as it comes, in a session of its own; ``env`` is its whole environment.

    On Linux it dies with the thread that starts it, and so with this process, however that ends. What it says on
    standard error is nobody's. Raises ShellError.
    """
    whole = shutil.which(argv[0], path=env.get("PATH", os.defpath))
    tied = [sys.executable, "-I", "-S", str(_TIED), str(os.getpid())] if sys.platform == "linux" else []
    try:
        return subprocess.Popen(
            [*tied, whole or argv[0], *argv[1:]],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as fault:
        raise ShellError(f"{Path(argv[0]).name}: could not be started: {fault.strerror}") from None


class Child:
    """A command that runs beside the gate, in a process group of its own. Made by ``start``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=200)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ended(self) -> bool:
        """Whether it has ended. It is not collected yet, so its group's number cannot become a stranger's."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options) is not None

    def kill(self) -> int:
        """Ends whatever is left of its group at once and returns its exit code, negative for a signal."""
        if self._process.returncode is None:
            kill_group(self._process.pid)
        code = self._process.wait()
        self._reader.join(timeout=1)  # a process that left the group may still hold the pipe
        return code

    def interrupt(self, grace: float) -> int:
        """Asks its group to stop as Ctrl-C does, so that it may clean up; kills it after ``grace`` seconds."""
        if self._process.returncode is None and ask_group(self._process.pid, signal.SIGINT):
            wait_until(self.ended, timeout=grace)
        return self.kill()

    def tail(self) -> str:
        """The end of what it printed."""
        return "".join(self._lines)

    def _read(self) -> None:
        if self._process.stdout is not None:
            self._lines.extend(self._process.stdout)


@contextmanager
def start(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], grace: float = 5.0) -> Iterator[Child]:
    """Starts a command that runs while the block does; ``env`` is its whole environment.

    What still runs at the end of the block is killed; when the block raises (Ctrl-C), it first gets ``grace`` seconds
    to clean up. Raises ShellError when it cannot be started.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as fault:
        raise ShellError(f"{Path(argv[0]).name}: could not be started: {fault.strerror}") from None
    child = Child(process)
    try:
        yield child
    except BaseException:
        child.interrupt(grace)
        raise
    finally:
        child.kill()


class Held(Child):
    """A command that runs until it is let go: it reads its input to the end, which comes when we end, however we do."""

    def close(self) -> None:
        """Lets it go, and ends it if it does not end by itself within a second."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        wait_until(self.ended, timeout=1)
        self.kill()


def hold(argv: Sequence[str], *, cwd: Path) -> Held:
    """Starts a command that is held by its standard input. Raises ShellError when it cannot be started."""
    try:
        return Held(
            subprocess.Popen(
                list(argv),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        )
    except OSError as fault:
        raise ShellError(f"{Path(argv[0]).name}: could not be started: {fault.strerror}") from None


def _communicate(
    process: subprocess.Popen[str], stdin: str | None, timeout: float, tick: Callable[[], None] | None
) -> tuple[str, str]:
    if tick is None:
        return process.communicate(stdin, timeout=timeout)
    deadline = time.monotonic() + timeout
    while True:
        try:
            return process.communicate(stdin, timeout=max(0.0, min(1.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:  # nothing read so far is lost: the next call goes on from there
            if time.monotonic() >= deadline:
                raise
            stdin = None  # handed over already; it may not be given twice
            tick()


def _let_go(process: subprocess.Popen[str]) -> None:
    """Collects a command that was killed; what it left running in a session of its own may hold its output for ever."""
    try:
        process.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


def kill_group(pid: int) -> None:
    """Ends a process group at once; a group that is gone already is fine.

    Where there are no groups: the process and what it started, as far as it still runs and can be found.
    """
    if not hasattr(os, "killpg"):
        _kill_tree(pid)
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def ask_group(pid: int, number: int) -> bool:
    """Sends a process group a signal; whether it can have heard it: where there are no groups nobody can be asked."""
    if not hasattr(os, "killpg"):
        return False
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
    return True


def _kill_tree(pid: int) -> None:
    import psutil

    with suppress(psutil.Error):
        found = [psutil.Process(pid)]
        for process in found:  # it grows: what is stopped starts no more, so nobody slips away between look and kill
            with suppress(psutil.Error):
                process.suspend()
                found += process.children()
        for process in found:
            with suppress(psutil.Error):
                process.kill()


def wait_until(condition: Callable[[], bool], *, timeout: float, every: float = 0.05) -> bool:
    """Whether ``condition`` came true within ``timeout`` seconds; looks every ``every`` seconds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event().wait  # waits like a sleep, yet a signal handler that raises ends it
    while not condition():
        if time.monotonic() >= deadline:
            return condition()
        pause(min(every, max(0.0, deadline - time.monotonic())))
    return True
