"""A real SSH server of the tests' own: 127.0.0.1, a free port, fresh keys, this user."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from gate.machine.shell import wait_until
from tests.engine.site import free_port
from tests.remote.server import NO_PROFILE


@dataclass(frozen=True)
class Sshd:
    """A server that runs: how to reach it, and with which keys."""

    process: subprocess.Popen[bytes]
    port: int
    key: str
    host_key: str

    @property
    def address(self) -> str:
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def started(cls, program: str) -> Iterator[Sshd]:
        """Runs one for a block."""
        with tempfile.TemporaryDirectory(prefix="sshd-") as name:
            place, port = Path(name), free_port()
            for key in ("host", "user"):
                made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(place / key)]
                subprocess.run(made, check=True, timeout=30)
            told = {
                "Port": port,
                "ListenAddress": "127.0.0.1",
                "HostKey": place / "host",
                "AuthorizedKeysFile": place / "user.pub",
                "PidFile": "none",
                "StrictModes": "no",
                "UsePAM": "no",
                "PasswordAuthentication": "no",
                "PermitRootLogin": "prohibit-password",
                "SetEnv": NO_PROFILE,
            }
            (place / "config").write_text("".join(f"{key} {value}\n" for key, value in told.items()), encoding="utf-8")
            if os.geteuid() == 0:
                Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # Debian's own service makes it at start
            process = subprocess.Popen([program, "-D", "-f", str(place / "config")], stderr=subprocess.DEVNULL)
            try:
                assert wait_until(lambda: _answers(port), timeout=10), "sshd does not answer"
                kind, text = (place / "host.pub").read_text(encoding="utf-8").split()[:2]
                key = (place / "user").read_text(encoding="utf-8")
                yield cls(process, port, key, f"[127.0.0.1]:{port} {kind} {text}")
            finally:
                process.terminate()
                process.wait(timeout=10)

    def cut(self) -> None:
        """Ends every connection, as a network does that fails; what runs in them is left alone."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if child.name().startswith("sshd"):
                child.kill()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
