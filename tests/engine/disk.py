"""A disk that fills up, for tests of what must work without space."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gate.errors import ShellError
from gate.machine import shell


@contextmanager
def tiny(place: Path, size: str = "64k", files: int = 0) -> Iterator[Path]:
    """A file system of its own with so much room (files 0: any number); skips where none can be made, but not in CI."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a file system that fills up")
    place.mkdir()
    try:
        shell.run(["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={files}", "tmpfs", str(place)], timeout=10)
    except ShellError as fault:
        if "CI" in os.environ:
            raise
        pytest.skip(f"this machine mounts nothing: {fault}")
    try:
        yield place
    finally:
        shell.run(["umount", "-l", str(place)], timeout=10)


def fill(place: Path) -> None:
    """Leaves no room at all."""
    with (place / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


@contextmanager
def no_more_files(place: Path) -> Iterator[None]:
    """Leaves no room for another file or link, however small."""
    made = []
    try:
        with contextlib.suppress(OSError):
            for number in itertools.count():
                (place / f"file{number}").touch()
                made.append(place / f"file{number}")
        yield
    finally:
        for file in made:
            file.unlink()
