"""Commands of the gate in a process that has its modules already: most of what a short command costs is reading them.

One server for each process of tests; it forks once for each command, and ends with who asks. What a test kills, signals
or runs with other modules is started as a user starts it instead.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

HOUSE = Path(__file__).resolve().parents[1]
_RUNS_WHEN_IMPORTED = ("__main__", "_child", "migrations.versions", "migrations.env")
_WHERE_USED = ("httpx", "h2.connection", "rich.progress")


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Runs a Python script as ``subprocess.run`` would; ``argv`` begins with the script. Raises TimeoutExpired."""
    asked = json.dumps({"argv": list(argv), "cwd": str(cwd), "env": dict(env)}).encode()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        server = _server()
        try:
            code = _answer(server, asked, (out.fileno(), err.fileno()), timeout)
        except BaseException as fault:  # an answer that comes later belongs to no other command
            _server.cache_clear()
            server.close()
            if isinstance(fault, TimeoutError):
                raise subprocess.TimeoutExpired(list(argv), timeout) from None
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(argv), code, out.read().decode(), err.read().decode())


def _answer(server: socket.socket, asked: bytes, streams: tuple[int, int], timeout: float) -> int:
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], streams)
    server.sendall(asked)
    pid = int.from_bytes(_read(server, 4), "big")
    server.settimeout(timeout)
    try:
        code = int.from_bytes(_read(server, 4), "big", signed=True)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    server.settimeout(None)
    return code


@functools.cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair()
    environment = {**os.environ, "PYTHONPATH": str(HOUSE)}
    argv = [sys.executable, "-m", "tests.preloaded", str(theirs.fileno())]
    subprocess.Popen(argv, cwd=HOUSE, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    return ours


def _read(connection: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = connection.recv(size - len(got))
        if not piece:
            raise ConnectionError("the server with the modules is gone")
        got += piece
    return got


def _serve(connection: socket.socket) -> None:
    import gate

    ours = [module.name for module in pkgutil.walk_packages(gate.__path__, "gate.")]
    for name in (*ours, *_WHERE_USED):
        if not any(part in name for part in _RUNS_WHEN_IMPORTED):
            importlib.import_module(name)
    _read_templates()
    while True:
        head, streams, _, _ = socket.recv_fds(connection, 4, 2)
        if not head:
            return
        asked = json.loads(_read(connection, int.from_bytes(head + _read(connection, 4 - len(head)), "big")))
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(asked, streams)
        for stream in streams:
            os.close(stream)
        connection.sendall(pid.to_bytes(4, "big"))
        _, status = os.waitpid(pid, 0)
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))


def _read_templates() -> None:
    from gate.report.html import templates

    for name in templates().list_templates(extensions=["html"]):
        templates().get_template(name)


def _become(asked: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """From here on this process is the command, and ends as an interpreter does: files and records are closed."""
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = list(asked["argv"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit(0)


if __name__ == "__main__":
    with suppress(ConnectionError):  # who asked is gone
        _serve(socket.socket(fileno=int(sys.argv[1])))
