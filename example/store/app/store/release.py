"""Which release this is, for /version and the X-Release header."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ._version import VERSION

_RELEASE_FILE = Path(__file__).parent.parent / "release.json"


@dataclass(frozen=True)
class Identity:
    """Digest and commit are None when the code runs from its source and not from a built release."""

    version: str
    digest: str | None
    commit: str | None


def read() -> Identity:
    """Reads what `build.py` wrote beside the package."""
    try:
        release = json.loads(_RELEASE_FILE.read_text())
    except FileNotFoundError:
        release = {}
    return Identity(version=VERSION, digest=release.get("digest"), commit=release.get("commit"))


IDENTITY = read()
