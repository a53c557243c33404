"""The evidence of one deployment as a whole: its folder, or a zip of it, with a manifest of every file in it.

The manifest alone finds a file that was changed, lost or added. That it is itself the one that the gate made, only its
own SHA-256 can tell: the gate's records keep that (``gate.records.ledger``), and whoever publishes it tells it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gate.errors import OperationFailed, UsageError
from gate.evidence.zipped import Zipped, above
from gate.machine import durable

MANIFEST = "manifest.json"
FORMAT: Literal[1] = 1

_PIECE = 1 << 20
_LARGEST_MANIFEST = 64 << 20
"""Bytes; nothing larger is read into memory, whatever a zip says it unpacks to."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a zip, so that the same evidence packs to the same bytes."""

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeError)
"""What reading a file of a zip raises where it is damaged, encrypted or packed in a way that nobody here knows."""

_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""How a file is opened that may be something else: through no link, and without waiting for a writer."""

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Entry(BaseModel):
    """One file of a bundle: its SHA-256 and its size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Hash
    bytes: Annotated[int, Field(ge=0)]


class Manifest(BaseModel):
    """What a bundle holds; ``files`` by their path within it, with slashes, and ``folders`` that hold nothing.

    ``broken``: what was not as an earlier seal said, when this one was made of evidence that had grown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    environment: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,255}$")]
    deployment: int
    sealed_at: AwareDatetime
    files: Mapping[str, Entry]
    folders: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """What became of a check: the manifest, the SHA-256 of it, and every file that is not as it says."""

    manifest: Manifest
    sha256: str
    faults: tuple[str, ...]


class Source(Protocol):
    """Files by name: a folder or a zip."""

    def names(self) -> list[str]:
        """Every file, sorted; the manifest too."""
        ...

    def empty(self) -> list[str]:
        """Every folder with nothing in it, sorted."""
        ...

    def odd(self) -> Mapping[str, str]:
        """What is wrong with it whatever the manifest says, by the file's name; "" for the whole of it."""
        ...

    def open(self, name: str) -> IO[bytes]: ...


def seal(folder: Path, environment: str, deployment: int, at: datetime, broken: Sequence[str] = ()) -> str:
    """Writes the manifest of everything in a folder; returns its SHA-256.

    ``broken``: what was found not to be as it was sealed before; whoever seals anew proves that first, and hands on
    what the manifest before said. Raises OSError, and OperationFailed for a file that is none of its own.
    """
    place = _Folder(folder)
    if odd := place.odd():
        raise OperationFailed(f"{folder}: {_told(odd)[0]}")
    files = {name: _entry(place, name) for name in place.names() if name != MANIFEST}
    manifest = Manifest(
        format=FORMAT,
        environment=environment,
        deployment=deployment,
        sealed_at=at,
        files=files,
        folders=tuple(place.empty()),
        broken=tuple(broken),
    )
    content = (manifest.model_dump_json(indent=1) + "\n").encode()
    # It is written beside the folder first: a half-written one is no file of the bundle.
    durable.write(folder / MANIFEST, content, by=folder.with_name(f"{folder.name}.{MANIFEST}.new"))
    return hashlib.sha256(content).hexdigest()


def check(path: Path) -> Checked:
    """Compares every file of a folder or a zip with the manifest in it.

    Raises UsageError where there is no bundle, OperationFailed where it cannot be read or its manifest is none.
    """
    with _opened(path) as source:
        names = source.names()
        if MANIFEST not in names:
            raise UsageError(
                f"{path}: holds no {MANIFEST}: it is no evidence of a deployment, or from before bundles were sealed",
                next_step="name the folder reports/ENV/N, a copy of it, or a zip of it",
            )
        odd = source.odd()
        if MANIFEST in odd:
            raise OperationFailed(f"{path}: its {MANIFEST} {odd[MANIFEST]}")
        content = _manifest_of(source, path)
        try:
            manifest = Manifest.model_validate_json(content)
        except ValidationError:
            raise OperationFailed(f"{path}: its {MANIFEST} is not one of format {FORMAT}") from None
        present = set(names) - {MANIFEST}
        faults = _told(odd)
        known, empty = set(manifest.folders), set(source.empty())
        faults += [f"{name}/: missing" for name in sorted(known - empty - above(present))]
        faults += [f"{name}/: added, an empty folder that the manifest does not name" for name in sorted(empty - known)]
        faults += [f"{name}: missing" for name in sorted(manifest.files.keys() - present)]
        faults += [f"{name}: added, the manifest does not name it" for name in sorted(present - manifest.files.keys())]
        for name in sorted((present & manifest.files.keys()) - odd.keys()):
            wanted = manifest.files[name]
            try:
                found = _entry(source, name, most=wanted.bytes)
            except (OSError, *_DAMAGED) as fault:
                faults.append(f"{name}: cannot be read: {fault}")
                continue
            if found != wanted:
                faults.append(f"{name}: changed")
    return Checked(manifest, hashlib.sha256(content).hexdigest(), tuple(faults))


def pack(folder: Path, target: Path) -> None:
    """Writes a zip of a bundle; the same evidence gives the same bytes. Raises OSError."""
    place = _Folder(folder)
    top = PurePosixPath(target.stem)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in place.names():
            entry = zipfile.ZipInfo(str(top / name), _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with place.open(name) as source, packed.open(entry, "w", force_zip64=True) as stream:
                while piece := source.read(_PIECE):
                    stream.write(piece)
        for name in place.empty():
            entry = zipfile.ZipInfo(f"{top / name}/", _EPOCH)
            entry.external_attr = (0o40755 << 16) | 0x10
            packed.writestr(entry, b"")


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {
            file.relative_to(folder).as_posix(): file
            for file in folder.rglob("*")
            if file.is_symlink() or not file.is_dir()
        }
        self._empty = [
            place.relative_to(folder).as_posix()
            for place in folder.rglob("*")
            if place.is_dir() and not place.is_symlink() and not any(place.iterdir())
        ]

    def names(self) -> list[str]:
        return sorted(self._files)

    def empty(self) -> list[str]:
        return sorted(self._empty)

    def odd(self) -> Mapping[str, str]:
        found = {}
        for name, file in sorted(self._files.items()):
            if file.is_symlink() or not file.is_file():
                found[name] = "is a link or no file, so it proves nothing"
            elif not _utf8(name):
                found[name] = "has a name that no manifest can hold: it is not UTF-8"
        return found

    def open(self, name: str) -> IO[bytes]:
        """Never waits: what has become a pipe meanwhile, or a link, is an OSError."""
        descriptor = os.open(self._files[name], os.O_RDONLY | _AS_IT_IS)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is no file")
        return os.fdopen(descriptor, "rb")


def _told(odd: Mapping[str, str]) -> list[str]:
    return [f"{name.encode(errors='replace').decode()}: {what}" if name else what for name, what in odd.items()]


def _utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    if path.is_dir():
        yield _Folder(path)
        return
    if not path.is_file():
        raise UsageError(f"{path}: is not there", next_step="name the folder reports/ENV/N or a zip of it")
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as packed:
            yield Zipped(packed, stream, MANIFEST)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeError):
        raise OperationFailed(f"{path}: is neither a folder nor a whole zip") from None
    except OSError as fault:
        raise OperationFailed(f"{path}: cannot be read: {fault.strerror}") from None


def _manifest_of(source: Source, path: Path) -> bytes:
    try:
        with source.open(MANIFEST) as stream:
            content = stream.read(_LARGEST_MANIFEST + 1)
    except _DAMAGED as fault:
        raise OperationFailed(f"{path}: its {MANIFEST} cannot be read: {fault}") from None
    if len(content) > _LARGEST_MANIFEST:
        raise OperationFailed(f"{path}: its {MANIFEST} is larger than any that the gate makes")
    return content


def _entry(source: Source, name: str, most: int | None = None) -> Entry:
    """What a file really is; of one larger than ``most`` bytes, as far as it was read to know that."""
    digest, size = hashlib.sha256(), 0
    with source.open(name) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            if most is not None and size > most:
                break
    return Entry(sha256=digest.hexdigest(), bytes=size)
