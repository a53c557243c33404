"""The server's log of requests as a file of this machine: what the front door's container prints, as it prints it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from gate.config import DockerSettings, Environment
from gate.containers.client import asked, epoch
from gate.errors import EngineError
from gate.remote.door import Door

_BACK = 3600.0  # seconds of the log that are fetched first: whoever reads it looks back, too
_FIRST = 30.0  # seconds that may take; without it there is no file, which readers notice
_AGAIN = 0.5  # seconds until a lost connection is tried again


_mirrors: dict[str, Mirror] = {}


def mirror(environment: Environment, docker: DockerSettings) -> Path:
    """The file that follows an environment's log of requests; one for this process."""
    name = Door(environment, docker).name
    if name not in _mirrors:
        _mirrors[name] = Mirror(environment, docker)
    return _mirrors[name].file


class Mirror:
    """Follows one front door's log for as long as this process lives, from a while before now on."""

    def __init__(self, environment: Environment, docker: DockerSettings) -> None:
        self._door = Door(environment, docker)
        self._folder = Path(tempfile.mkdtemp(prefix="gate-log-"))
        self.file = self._folder / "access.log"
        self._since, self._last = time.time() - _BACK, b""
        self._over = threading.Event()
        self._caught_up = threading.Event()
        atexit.register(self.close)
        self._thread = threading.Thread(target=self._follow, name="log of requests", daemon=True)
        self._thread.start()
        self._caught_up.wait(_FIRST)

    def close(self) -> None:
        """Ends it and removes the file."""
        self._over.set()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _follow(self) -> None:
        while not self._over.is_set():
            with suppress(EngineError, OSError, HTTPError):  # the log stands still, which whoever reads it notices
                if not self.file.exists():
                    self._fetch()
                self._caught_up.set()
                self._stream()
            self._over.wait(_AGAIN)

    def _fetch(self) -> None:
        """All of the last while, into a file that is there only once it is whole."""
        new = self.file.with_suffix(".new")
        with FileIO(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self._new(self._logs(follow=False)))
        new.replace(self.file)

    def _stream(self) -> None:
        """Appends lines as they are printed, until the connection is lost."""
        with self.file.open("ab", buffering=0) as file:
            rest = b""
            for piece in self._logs(follow=True):
                if self._over.is_set():
                    return
                *lines, rest = (rest + piece).split(b"\n")
                file.write(self._new(b"".join(line + b"\n" for line in lines)))

    def _logs(self, *, follow: bool) -> Any:
        with asked(self._door.name):
            return self._door.engine.api.logs(
                self._door.name,
                since=self._since,
                timestamps=True,
                stdout=True,
                stderr=False,
                stream=follow,
                follow=follow,
            )

    def _new(self, said: bytes) -> bytes:
        """What was not there yet, without the engine's time stamps."""
        new = []
        for line in said.splitlines(keepends=True):
            stamp, _, text = line.partition(b" ")
            if stamp > self._last:  # of one length and one zone: they sort as text
                self._last = stamp
                new.append(text)
        if new:
            self._since = epoch(self._last.decode())
        return b"".join(new)
