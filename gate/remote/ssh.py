"""The SSH connection to a server: one ``ssh`` for a process of ours, which forwards the engine's socket and some ports.

Commands on the server go through it as well. It ends with whoever opened it, also when that is killed: the command on
the server waits for its input to end. The server's key must be known; it is never accepted unseen.
"""

from __future__ import annotations

import atexit
import math
import os
import shlex
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from gate.config import ContainerSettings, DockerSettings
from gate.errors import EngineError, ShellError
from gate.machine import shell
from gate.remote.target import LET_IN, Target

_CONNECT = 20.0  # seconds
_LET_IN_AGAIN = 3
"""Seconds in which a server has to answer once it was asked in vain, or twice what it took before: each act of an undo
asks again, and must not wait long."""
_KEY = "key"
_LOST = 255  # what ``ssh`` itself ends with
_OWN = "gate-own-255"  # said by a command that ends so by itself
_BACK = 10.0
"""Seconds in which one that was lost is tried again: an sshd that is started anew, a network that is gone for a moment.
Whoever asks next finds it then, and what was begun can be undone."""
_BETWEEN = 0.5  # seconds between two tries
_WAIT = "cat"
"""The command on the server: it ends when its input does."""


class Connection:
    """One connection; opened when it is asked for, and again when it has been lost.

    ``back``: how long one that was lost is tried again, in seconds. The first one, and what stays lost, is tried once,
    and together by all who wait for it: a server that is gone must not hold up each of a hundred questions.
    ``in_memory``: whether a key given as text is kept off the disk, where the system can do that.
    """

    def __init__(
        self,
        target: Target,
        probes: str | None,
        behind: Sequence[str] = (),
        *,
        back: float = _BACK,
        in_memory: bool = True,
    ) -> None:
        self._target = target
        self._probes = probes
        self._back = back
        self._in_memory = in_memory
        self._folder = Path(tempfile.mkdtemp(prefix="gate-ssh-"))
        self._child: shell.Held | None = None
        self._trying: shell.Held | None = None
        self._closed = False
        self._ending = threading.Lock()  # nothing is begun, and no key is written, once it is closed
        self._opening = threading.Lock()  # threads that all see a lost connection must not open one each
        self._let_in, self._usual = LET_IN, 0
        self._lost = False  # and was not tried in vain since
        self._refusal: tuple[float, EngineError] | None = None
        self.port = _free_port() if probes else 0
        """The port of this machine that leads to the server's ``probes``."""
        self.leads = {address: _free_port() for address in behind}
        """The port of this machine that leads to each address behind the server."""
        self.socket = self._folder / "docker.sock"
        self._control = self._folder / "control"
        # Where Python knows no unix sockets (Windows) it is a port, which others on this machine may reach meanwhile.
        self._engine_port = 0 if hasattr(socket, "AF_UNIX") else _free_port()
        atexit.register(self.close)

    @property
    def url(self) -> str:
        """Where the engine is reached on this machine."""
        return f"tcp://127.0.0.1:{self._engine_port}" if self._engine_port else f"unix://{self.socket}"

    def open(self) -> None:
        """Connects unless it is connected. Raises EngineError within seconds when that is not possible."""
        asked = time.monotonic()
        with self._opening:
            if self._child is not None and not self._child.ended():
                return
            if self._refusal is not None and self._refusal[0] >= asked:
                raise self._refusal[1]
            began = time.monotonic()
            if self._child is not None:
                self._child.close()
                self._child, self._lost = None, True
            try:
                if self._lost:
                    self._open_again()
                else:
                    self._open()
            except EngineError as fault:
                self._refusal = began, fault
                self._let_in, self._lost = max(_LET_IN_AGAIN, min(LET_IN, self._usual)), False
                raise

    def _open_again(self) -> None:
        """Tries until it is there, or no longer than ``back``."""
        faults: list[EngineError] = []
        if not shell.wait_until(lambda: self._opens(faults), timeout=self._back, every=_BETWEEN):
            raise faults[-1]

    def _opens(self, faults: list[EngineError]) -> bool:
        try:
            self._open()
        except EngineError as fault:
            faults.append(fault)
            return False
        return True

    def _open(self) -> None:
        self._control.unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        here = f"127.0.0.1:{self._engine_port}" if self._engine_port else str(self.socket)
        forwards = ["-L", f"{here}:{self._target.socket}"]
        if self._probes:
            forwards += ["-L", f"127.0.0.1:{self.port}:{self._probes}"]
        forwards += [word for at, port in self.leads.items() for word in ("-L", f"127.0.0.1:{port}:{at}")]
        with self._key() as key:
            options = [
                *self._target.options(key, self._let_in),
                *self._shared(),
                "-o",
                "ExitOnForwardFailure=yes",
                *forwards,
            ]
            try:
                with self._unless_closed():
                    child = shell.hold(["ssh", "-T", *options, "--", self._target.name, _WAIT], cwd=self._folder)
                    self._trying = child
            except ShellError as fault:
                raise EngineError(f"{fault}", next_step="install the OpenSSH client") from None
            began = time.monotonic()
            try:  # it is there once the server has let us in
                shell.wait_until(lambda: child.ended() or self._there(), timeout=_CONNECT)
            except BaseException:  # interrupted
                child.close()
                raise
        if child.ended() or not self._there():
            child.close()
            raise self._target.refused(" ".join(child.tail().split()) or f"no answer within {_CONNECT:g} s")
        self._child, self._let_in, self._lost = child, LET_IN, False
        self._usual = math.ceil(2 * (time.monotonic() - began))

    def run(self, line: str, *, timeout: float) -> shell.Finished:
        """Runs a line of shell on the server, through this connection: that takes some hundredths of a second.

        Raises EngineError when it is lost, or nothing comes back within ``timeout`` seconds; whether the line was run
        is not known then.
        """
        self.open()
        if self._engine_port:
            raise EngineError(
                f"{self._target.name}: SSH on this system shares no connection, so that nothing is run there"
            )
        # Through the one that is open or not at all: another would need the key, and a way of its own.
        argv = ["ssh", "-T", "-S", str(self._control), "-o", "ControlMaster=no", "-o", "ProxyCommand=false"]
        told = f"sh -c {shlex.quote(line)}; code=$?; [ $code = {_LOST} ] && echo {_OWN} >&2; exit $code"
        argv += ["-o", "BatchMode=yes", "--", self._target.name, f"exec sh -c {shlex.quote(told)}"]
        try:
            ran = shell.run(argv, timeout=timeout, check=False)
        except ShellError as fault:
            raise EngineError(f"{self._target.name}: {fault}") from None
        if ran.code == _LOST and not ran.err.endswith(f"{_OWN}\n"):
            raise EngineError(f"{self._target.name}: the SSH connection was lost: {' '.join(ran.err.split())}")
        return replace(ran, err=ran.err.removesuffix(f"{_OWN}\n"))

    def close(self) -> None:
        """Ends it, and a try of another thread's, for good; removes what they left on this machine."""
        with self._ending:
            self._closed = True
            (self._folder / _KEY).unlink(missing_ok=True)
        for child in (self._child, self._trying):
            if child is not None:
                child.close()
        self._child = None
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def _unless_closed(self) -> Iterator[None]:
        with self._ending:
            if self._closed:
                raise EngineError(f"{self._target.name}: the gate ends, so no SSH connection is opened any more")
            yield

    @contextmanager
    def _key(self) -> Iterator[Path | None]:
        """A file with the key that was given as text, for as long as ``ssh`` needs one: until it is let in."""
        if self._target.key is None:
            yield None
            return
        # OpenSSH reads no other ends of lines, whatever system wrote them, or pasted them into a variable.
        key = "\n".join(self._target.key.splitlines()).rstrip() + "\n"
        memory = _memory() if self._in_memory else None
        if memory is None:
            with self._disk(key) as file:
                yield file
            return
        stream, file = memory
        with stream:
            stream.write(key.encode())
            yield file

    @contextmanager
    def _disk(self, key: str) -> Iterator[Path]:
        file = self._folder / _KEY
        with self._unless_closed():
            file.unlink(missing_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(key.encode())
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)

    def _shared(self) -> list[str]:
        """By what commands find it; Windows' own OpenSSH can share none."""
        if self._engine_port:
            return ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
        return ["-o", "ControlMaster=yes", "-o", f"ControlPath={self._control}", "-o", "ControlPersist=no"]

    def _there(self) -> bool:
        if not self._engine_port:
            return self.socket.exists() and self._control.exists()
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self._engine_port)) == 0


_connections: dict[tuple[Target, str | None, tuple[str, ...]], Connection] = {}
_one_each = threading.Lock()


def connection(docker: ContainerSettings) -> Connection:
    """This process's connection to a server, open. Raises EngineError."""
    known = (Target.of(docker), docker.door if isinstance(docker, DockerSettings) else None, docker.behind)
    with _one_each:
        if known not in _connections:
            _connections[known] = Connection(*known)
        made = _connections[known]
    made.open()  # one that takes its time keeps nobody from another server
    return made


def _memory() -> tuple[BinaryIO, Path] | None:
    """A file that is on no disk, so that nothing is left of it when the gate is killed, and where a child of ours finds
    it; None where the system knows no such thing, or keeps it from us."""
    if not hasattr(os, "memfd_create"):  # Linux alone has it
        return None
    try:
        stream = os.fdopen(os.memfd_create(_KEY), "wb", buffering=0)
    except OSError:
        return None
    file = Path(f"/proc/{os.getpid()}/fd/{stream.fileno()}")
    try:
        os.fchmod(stream.fileno(), 0o600)
        if os.path.samestat(file.stat(), os.fstat(stream.fileno())):  # else /proc is another's
            return stream, file
    except OSError:
        pass
    stream.close()
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
