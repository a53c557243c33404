"""Which release this is, for /version and the X-Release header."""

from __future__ import annotations

import json
import os
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
    """What `build.py` wrote beside the package; the digest of an image only whoever starts it can tell."""
    try:
        release = json.loads(_RELEASE_FILE.read_text())
    except FileNotFoundError:
        release = {}
    digest = os.environ.get("STORE_DIGEST") or release.get("digest")
    return Identity(version=VERSION, digest=digest, commit=release.get("commit"))


IDENTITY = read()
