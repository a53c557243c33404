"""A zip of evidence: what it holds, and what in it some program would read that another does not show."""

from __future__ import annotations

import os
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import IO

_END = 22
"""Bytes of the record that ends a zip without a comment; the comment's length stands last in it."""
_HEADER = 30
"""Bytes of the header before each file, without its name and its extra field, whose lengths stand last in it."""
_AFTER = (12, 16, 20, 24)
"""Bytes that may follow a file whose size was not known when its header was written."""
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How files may be packed: these are unpacked piece by piece, whatever they unpack to."""


class Zipped:
    """The files of a zip, whatever folder of it the manifest lies in; implements ``gate.evidence.bundle.Source``."""

    def __init__(self, packed: zipfile.ZipFile, stream: IO[bytes], manifest: str) -> None:
        self._packed = packed
        found = [entry for entry in packed.infolist() if not entry.is_dir()]
        manifests = [entry.filename for entry in found if PurePosixPath(entry.filename).name == manifest]
        nearest = min(manifests, key=lambda name: name.count("/"), default=manifest)
        self._top = nearest.removesuffix(manifest)
        self._entries = {self._within(entry): entry for entry in found}
        self._odd = dict(self._oddities(packed.infolist()))
        if around := _around(packed, stream):
            self._odd[""] = around
        folders = {entry.filename.rstrip("/") for entry in packed.infolist() if entry.is_dir()}
        hold = above([*(entry.filename for entry in found), *folders]) | {self._top.rstrip("/")}
        self._empty = [folder.removeprefix(self._top) for folder in folders - hold]

    def names(self) -> list[str]:
        return sorted(self._entries)

    def empty(self) -> list[str]:
        return sorted(self._empty)

    def odd(self) -> Mapping[str, str]:
        return self._odd

    def open(self, name: str) -> IO[bytes]:
        return self._packed.open(self._entries[name])

    def _within(self, entry: zipfile.ZipInfo) -> str:
        return entry.filename.removeprefix(self._top)

    def _oddities(self, entries: list[zipfile.ZipInfo]) -> Iterable[tuple[str, str]]:
        many = Counter(map(self._within, entries))
        for entry in entries:
            name = self._within(entry)
            if not entry.filename.startswith(self._top):
                yield entry.filename, "lies outside of the evidence's own folder"
            if many[name] > 1:
                yield name, "is in the zip twice"
            elif entry.is_dir() and entry.file_size:
                yield name, "is a folder, and has content"
            elif entry.compress_type not in _PLAIN:
                yield name, "is packed in a way that the gate does not use"


def above(names: Iterable[str]) -> set[str]:
    """Every folder that something lies in."""
    return {str(folder) for name in names for folder in PurePosixPath(name).parents}


def _around(packed: zipfile.ZipFile, stream: IO[bytes]) -> str:
    """What stands before, between or after the files: no list shows it, and some programs read it all the same."""
    entries = sorted(packed.infolist(), key=lambda entry: entry.header_offset)
    if entries and entries[0].header_offset:
        return "something stands before its first file"
    starts = [*(entry.header_offset for entry in entries), packed.start_dir]
    for entry, (start, following) in zip(entries, pairwise(starts), strict=True):
        stream.seek(start)
        name, extra = struct.unpack("<HH", stream.read(_HEADER)[-4:])
        between = following - (start + _HEADER + name + extra + entry.compress_size)
        if between and not (entry.flag_bits & 8 and between in _AFTER):
            return f"something stands after {entry.filename} that is no file"
    stream.seek(-_END, os.SEEK_END)
    end = stream.read()
    return "" if end.startswith(b"PK\x05\x06") and end.endswith(b"\0\0") else "something stands after its end"
