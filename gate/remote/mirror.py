"""The servers' log of requests as one file of this machine: what the front doors' containers print, as they print it.

The file is there only while each of them is followed: whoever judges by it must not take one server's users for all.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
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
_AGAIN, _LATER = 0.5, 5.0
"""Seconds until a lost connection is tried again, at first and after ``_PATIENT`` seconds: others ask for it, too."""
_PATIENT = 10.0
_IN_VAIN = 2  # times in a row that a front door was not followed: whoever waits for the first lines goes on without


_mirrors: dict[tuple[str, ...], Mirror] = {}


def mirror(environment: Environment, docker: DockerSettings) -> Path:
    """The file that follows an environment's log of requests; one for this process."""
    doors = [Door(environment, server) for server in docker.each]
    known = (doors[0].name, *(server.host for server in docker.each))
    if known not in _mirrors:
        _mirrors[known] = Mirror(doors)
    return _mirrors[known].file


class Mirror:
    """Follows the logs of front doors for as long as this process lives, from a while before now on."""

    def __init__(self, doors: Sequence[Door]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gate-log-"))
        self.file = self._folder / "access.log"
        self._aside = self._folder / "incomplete"
        self._change = threading.Lock()
        self._over = threading.Event()
        self._awaited = threading.Event()
        self._doors = [_Printed(door) for door in doors]
        self._earlier: dict[_Printed, list[tuple[bytes, bytes]]] = {}
        self._followed: set[_Printed] = set()
        atexit.register(self.close)
        for door in self._doors:
            threading.Thread(target=self._follow, args=(door,), name="log of requests", daemon=True).start()
        self._awaited.wait(_FIRST)

    def close(self) -> None:
        """Ends it and removes the file."""
        self._over.set()
        with self._change:  # whoever follows writes nothing into it any more
            shutil.rmtree(self._folder, ignore_errors=True)

    def _follow(self, door: _Printed) -> None:
        in_vain, well_at = 0, time.monotonic()
        while not self._over.is_set():
            try:
                if door not in self._earlier:
                    self._begin(door, door.new(door.logs(follow=False)))
                self._stream(door)
                in_vain, well_at = 0, time.monotonic()
            except (EngineError, OSError, HTTPError):  # the log is not there, which whoever reads it notices
                in_vain += 1
                if in_vain == _IN_VAIN:
                    self._awaited.set()
            self._lost(door)
            self._over.wait(_AGAIN if in_vain == 0 or time.monotonic() - well_at < _PATIENT else _LATER)

    def _begin(self, door: _Printed, lines: list[tuple[bytes, bytes]]) -> None:
        """What was printed before; once all of them have told it, it is the beginning of the file, in its order."""
        with self._change:
            if self._over.is_set():
                return
            self._earlier[door] = lines
            if len(self._earlier) == len(self._doors):
                every = sorted((line for lines in self._earlier.values() for line in lines), key=lambda line: line[0])
                with FileIO(os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(b"".join(text for _, text in every))
                for one in self._earlier:
                    self._earlier[one] = []

    def _stream(self, door: _Printed) -> None:
        """Appends lines as they are printed, until the connection is lost."""
        rest = b""
        pieces = door.logs(follow=True)
        self._followed_again(door)
        for piece in pieces:
            if self._over.is_set():
                return
            *lines, rest = (rest + piece).split(b"\n")
            self._append(door, door.new(b"".join(line + b"\n" for line in lines)))

    def _append(self, door: _Printed, lines: list[tuple[bytes, bytes]]) -> None:
        """Whole lines, those of one server after those of another. Raises OSError."""
        with self._change:
            if self._over.is_set():
                return
            if len(self._earlier) < len(self._doors):  # another server has not told yet what was before
                self._earlier[door] += lines
            elif lines:
                place = self.file if self.file.exists() else self._aside
                with place.open("ab", buffering=0) as file:
                    file.write(b"".join(text for _, text in lines))

    def _followed_again(self, door: _Printed) -> None:
        with self._change:
            self._followed.add(door)
            if len(self._followed) == len(self._doors) and self._aside.exists():
                self._aside.replace(self.file)
                self._awaited.set()

    def _lost(self, door: _Printed) -> None:
        with self._change, suppress(OSError):
            self._followed.discard(door)
            if self.file.exists():
                self.file.replace(self._aside)


class _Printed:
    """What one front door prints, each line once."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._since, self._last = time.time() - _BACK, b""

    def logs(self, *, follow: bool) -> Any:
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

    def new(self, said: bytes) -> list[tuple[bytes, bytes]]:
        """What was not there yet: the engine's time stamp of each line, and the line."""
        new = []
        for line in said.splitlines(keepends=True):
            stamp, _, text = line.partition(b" ")
            if stamp > self._last:  # of one length and one zone: they sort as text
                self._last = stamp
                new.append((stamp, text))
        if new:
            self._since = epoch(self._last.decode())
        return new
