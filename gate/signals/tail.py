"""New whole lines of a file that grows, is rotated, is cut, or is not there yet.

Rotated files are named as the proxy's logger names them, ``access-2026-11-24T07-48-26.123-size.log``, later with
``.gz`` behind it. A file rotated under any other name is still finished before its successor is begun.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_Stream = io.FileIO | gzip.GzipFile

LONGEST = 64 * 1024
"""Bytes of a line that are handed out; the rest of a longer one is dropped."""
AT_ONCE = 4 * 1024 * 1024
"""Bytes that one call reads at most; what is left comes with the next."""
_CHUNK = 256 * 1024


class Follower:
    """Hands out each line once, in the order written; a line without its end waits for it.

    A file that is cut and grows beyond its old length between two reads cannot be told from one that only grew.
    """

    def __init__(self, path: Path, *, from_end: bool, at_once: int = AT_ONCE) -> None:
        self.path = path
        self.fault: str | None = None
        """Why nothing can be read now; None while it can."""
        self.absent = False
        """Whether the fault is that there is no such file."""
        self.lost = 0
        """Rotated files that were gone before they were read."""
        self._at_once = at_once
        self._stream: _Stream | None = None
        self._done_with = _newest(path)  # the youngest rotated file that nothing more is read from
        self._half = b""
        self._cut = False
        self._from_end = from_end
        self._began = 0
        self._first = self._open() is not None

    @property
    def readable(self) -> bool:
        """Whether there is a file and it can be read."""
        return self.fault is None

    def read(self) -> list[str]:
        """The lines written since the last call, without their ends; empty ones are left out. Does not raise."""
        lines: list[str] = []
        room = self._at_once
        while room > 0 and (stream := self._open()):
            try:
                chunk = stream.read(min(_CHUNK, room))
                if chunk:
                    room -= len(chunk)
                    self._take(chunk, lines)
                elif not self._more(stream, lines):
                    break
            except (OSError, EOFError, zlib.error) as fault:
                if not isinstance(stream, gzip.GzipFile):  # a disk that fails now; it is asked again
                    self._failed(fault)
                    break
                self.lost += 1
                self._leave(lines)
        return lines

    def earlier(self, limit: int = AT_ONCE) -> Iterator[list[str]]:
        """Lines before the place where following began, newest file first: this one, then the last rotated one.

        At most ``limit`` bytes of each. Ask before ``read`` has gone on to another file.
        """
        if self._first and self._stream is not None:
            start = max(0, self._began - limit)
            with contextlib.suppress(OSError):
                here = self._stream.tell()
                self._stream.seek(start)
                try:
                    found = self._stream.read(self._began - start)
                finally:
                    self._stream.seek(here)
                yield _lines(found, whole=start == 0)
        rotated = [place for place in _rotated(self.path) if _moment(place) <= self._done_with]
        if rotated:
            with contextlib.suppress(OSError, EOFError, zlib.error):
                found, whole = _end_of(rotated[-1], limit)
                yield _lines(found, whole=whole)

    def close(self) -> None:
        """Lets go of the file; nothing is read after it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self) -> _Stream | None:
        """The file being read; else the oldest rotated one that is not done with, else the one at ``path``."""
        while self._stream is None:
            newer = self._newer()
            try:
                stream = _opened(newer[0]) if newer else self.path.open("rb", buffering=0)
            except OSError as fault:
                if newer:
                    self.lost += 1
                    self._done_with = _moment(newer[0])
                    continue
                self._failed(fault)
                if self.absent:
                    self._from_end = False  # all that will be in it is new
                return None
            if not newer and self._newer():  # rotated this very moment: is it the old one or the new one?
                stream.close()
                continue
            self._stream, self.fault, self.absent = stream, None, False
            if self._from_end:
                self._from_end = False
                self._began = _last_end(stream)
                stream.seek(self._began)
        return self._stream

    def _take(self, chunk: bytes, lines: list[str]) -> None:
        whole, end, self._half = (self._half + chunk).rpartition(b"\n")
        if end:
            found = whole.decode("utf-8", "replace").split("\n")
            if self._cut:  # the rest of a line whose beginning was handed out
                del found[0]
                self._cut = False
            lines += [line if len(line) <= LONGEST else line[:LONGEST] for line in found if line]
        if len(self._half) > LONGEST:
            self._give_half(lines)
            self._cut = True

    def _give_half(self, lines: list[str]) -> None:
        """Hands out a line that has no end, or not yet, as far as it came."""
        if self._half and not self._cut:
            lines.append(self._half[:LONGEST].decode("utf-8", "replace"))
        self._half = b""

    def _more(self, stream: _Stream, lines: list[str]) -> bool:
        """At the end of the file: whether there is more to read, in it or in the one that took its place."""
        held = os.fstat(stream.fileno())
        try:
            now = self.path.stat()
        except OSError as fault:  # renamed this moment, and its successor is not there yet
            self._failed(fault)
            return False
        self.fault, self.absent = None, False
        if (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino):
            if now.st_size >= stream.tell():
                return False
            self._give_half(lines)
            self._cut = False
            stream.seek(0)
            return True
        last = stream.read(_CHUNK)  # its writer has let go of it: what it wrote before that is all there
        if last:
            self._take(last, lines)
            return True
        self._leave(lines)
        return True

    def _leave(self, lines: list[str]) -> None:
        """Done with a file that was rotated away."""
        self._give_half(lines)
        self._cut = self._first = False
        newer = self._newer()
        if newer:  # the oldest of them is the one just read; there is none when files are renamed another way
            self._done_with = _moment(newer[0])
        self.close()

    def _failed(self, fault: Exception) -> None:
        self.fault = fault.strerror if isinstance(fault, OSError) and fault.strerror else type(fault).__name__
        self.absent = isinstance(fault, FileNotFoundError)

    def _newer(self) -> list[Path]:
        return [place for place in _rotated(self.path) if _moment(place) > self._done_with]


def _rotated(path: Path) -> list[Path]:
    """The files rotated away from ``path``, oldest first; of a file and its compressed copy, the file."""
    name = re.compile(
        rf"{re.escape(path.stem)}-(?=\d{{4}}-\d\d-\d\dT)[\w.-]+?{re.escape(path.suffix)}(?P<packed>\.gz)?"
    )
    found: dict[str, Path] = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.parent):
            match = name.fullmatch(entry.name)
            if match is not None and (match["packed"] is None or _moment(Path(entry.path)) not in found):
                found[_moment(Path(entry.path))] = Path(entry.path)
    return [found[moment] for moment in sorted(found)]


def _moment(rotated: Path) -> str:
    """The name without ``.gz``: it holds the time of the rotation, so names sort by age."""
    return rotated.name.removesuffix(".gz")


def _newest(path: Path) -> str:
    """The name of the file rotated last, empty without one."""
    rotated = _rotated(path)
    return _moment(rotated[-1]) if rotated else ""


def _opened(rotated: Path) -> _Stream:
    """A rotated file; its compressed copy when it has been replaced by that since it was found."""
    if rotated.suffix != ".gz":
        try:
            return rotated.open("rb", buffering=0)
        except FileNotFoundError:
            rotated = rotated.with_name(f"{rotated.name}.gz")
    return gzip.open(rotated, "rb")


def _end_of(rotated: Path, limit: int) -> tuple[bytes, bool]:
    """The last ``limit`` bytes of a rotated file, and whether that is all of it."""
    with _opened(rotated) as stream:
        kept: deque[bytes] = deque()
        size = dropped = 0
        if not isinstance(stream, gzip.GzipFile):
            dropped = max(0, stream.seek(0, os.SEEK_END) - limit)
            stream.seek(dropped)
        while chunk := stream.read(_CHUNK):
            kept.append(chunk)
            size += len(chunk)
            while size - len(kept[0]) >= limit:
                size -= len(kept[0])
                dropped += len(kept.popleft())
    return b"".join(kept), dropped == 0


def _lines(found: bytes, *, whole: bool) -> list[str]:
    """The lines of a piece of a file; the first is half a line unless the piece begins where the file does."""
    lines = found.decode("utf-8", "replace").split("\n")
    return [line[:LONGEST] for line in lines[0 if whole else 1 :] if line]


def _last_end(stream: _Stream) -> int:
    """Where the last whole line of a file ends, looking no further back than the longest line."""
    size = stream.seek(0, os.SEEK_END)
    start = max(0, size - LONGEST)
    stream.seek(start)
    end = stream.read(size - start).rfind(b"\n")
    if end >= 0:
        return start + end + 1
    return size if start else 0
