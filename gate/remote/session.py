"""A shell that stays open in a container of a server: what would take a command of its own takes one answer of it.

It reads its commands from its input, which ends when whoever opened it does. What is sent into a connection that is
lost may arrive all the same, a minute later, when somebody else has put things right: so each command says until when
it may begin, by the server's own time since it was started.
"""

from __future__ import annotations

import secrets
import shlex
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gate.containers.client import Client, Silent, asked
from gate.errors import EngineError

_LATE = 20.0
"""Seconds after which a command does not begin any more: a little longer than until a silent connection is given up."""
_TOO_LATE = 75
"""Exit code of a command that did not begin."""
_UPTIME = "read -r up rest </proc/uptime; up=${up%.*}"
_HEADER = 8  # bytes before each piece that the engine sends: stream, and at the end its length


class Session:
    """One shell in one container, opened when it is needed, and again after it was lost. Threads may share it."""

    def __init__(self, engine: Callable[[], Client], container: str, late: float = _LATE) -> None:
        self._engine = engine
        self._container = container
        self._lock = threading.Lock()
        self._open: tuple[Any, socket.socket] | None = None
        self.mark = secrets.token_hex(8)
        """What no other session's temporary files are called."""
        self._pid = 0
        self._late = late
        self._server_zero = 0.0
        """The server's time since it was started, at this process's zero; rather too early than too late."""

    def run(self, script: str, words: tuple[str, ...], timeout: float) -> tuple[int, str]:
        """Runs a line of shell with ``words`` as its ``$1``, ``$2`` …; its exit code and what it printed.

        Raises EngineError when nothing answers within ``timeout`` seconds, Silent when the connection was lost; whether
        it was run is not known then.
        """
        given = " ".join(map(shlex.quote, words))
        with self._lock:
            try:
                with asked(self._container):
                    return self._answer(f"set -- {given}", script, timeout)
            except (OSError, EngineError) as fault:
                self._close()
                if isinstance(fault, EngineError):
                    raise
                raise Silent(f"{self._container}: the connection was lost ({type(fault).__name__})") from None

    def _answer(self, words: str, script: str, timeout: float) -> tuple[int, str]:
        deadline = time.monotonic() + timeout
        stream = self._connected(deadline)
        latest = int(self._server_zero + time.monotonic() + self._late) + 1
        begins = f'{_UPTIME}; [ "$up" -le {latest} ] || exit {_TOO_LATE}'
        line = f"{words}; ( {begins}; ( {script} ) ) </dev/null 2>&1; printf '\\n%s %d\\n' {self.mark} $?\n"
        code, said = self._said(stream, line, deadline)
        if code == _TOO_LATE:
            raise EngineError(f"{self._container}: what it was told came too late, and was not done")
        return code, said

    def _said(self, stream: socket.socket, line: str, deadline: float) -> tuple[int, str]:
        stream.settimeout(max(0.01, deadline - time.monotonic()))
        stream.sendall(line.encode())
        said, end = b"", f"\n{self.mark} ".encode()
        while end not in said or not said.endswith(b"\n"):
            stream.settimeout(max(0.01, deadline - time.monotonic()))
            header = _exactly(stream, _HEADER)
            said += _exactly(stream, int.from_bytes(header[4:], "big"))
        printed, _, code = said.rpartition(end)
        return int(code), printed.decode(errors="replace")

    def _connected(self, deadline: float) -> socket.socket:
        """The open shell, or another. The one that was lost is ended first: what it was told may be on its way yet,
        and would come after what this one is told."""
        if self._open is not None and _ended(self._open[1]):
            self._close()
        if self._open is None:
            api = self._engine().api
            made = api.exec_create(
                self._container, ["sh"], stdin=True, user="0:0", environment={"GATE_SESSION": self.mark}
            )
            held = api.exec_start(made["Id"], socket=True)
            stream: socket.socket = getattr(held, "_sock", held)
            self._open = held, stream
            last, pid = self._pid, f"printf '\\n%s %d\\n' {self.mark} 0; "
            ours = f'case "$(cat /proc/{last}/environ 2>/dev/null)" in *{self.mark}*)'
            killed = f"{ours} kill -9 -{last} {last} 2>/dev/null;; esac; " if last else ""
            _, said = self._said(stream, f"{killed}{_UPTIME}; echo $$ $up; {pid}\n", deadline)
            self._pid, up = map(int, said.split())
            self._server_zero = up - time.monotonic()
        return self._open[1]

    def _close(self) -> None:
        if self._open is not None:
            with suppress(OSError):
                self._open[0].close()
            self._open = None


def _ended(stream: socket.socket) -> bool:
    """Whether the other side has hung up: nothing is to be read between two commands but that."""
    stream.settimeout(0)
    try:
        return stream.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _exactly(stream: socket.socket, size: int) -> bytes:
    """That many bytes. Raises OSError when the stream ends before."""
    found = b""
    while len(found) < size:
        piece = stream.recv(size - len(found))
        if not piece:
            raise ConnectionError
        found += piece
    return found
