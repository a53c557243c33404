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

from gate.config import DockerSettings, Environment
from gate.containers.client import asked, epoch
from gate.errors import EngineError
from gate.remote.door import Door

_BACK = 300.0  # seconds of the log that are fetched first: a watch looks back, too
_FIRST = 10.0  # seconds that may take
_EVERY = 0.1  # seconds


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
        with FileIO(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            while not self._over.is_set():
                with suppress(EngineError, OSError):  # the log stands still, which whoever reads it notices
                    self._fetch(file)
                    self._caught_up.set()
                self._over.wait(_EVERY)

    def _fetch(self, file: FileIO) -> None:
        """Appends what was printed since the last line that is there."""
        with asked(self._door.name):
            said = self._door.engine.api.logs(
                self._door.name, since=self._since, timestamps=True, stdout=True, stderr=False
            )
        new = []
        for line in said.splitlines(keepends=True):
            stamp, _, text = line.partition(b" ")
            if stamp > self._last:  # of one length and one zone: they sort as text
                self._last = stamp
                new.append(text)
        if new:
            self._since = epoch(self._last.decode())
            file.write(b"".join(new))
