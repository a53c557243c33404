"""When a commit was made, as far as the project's own history knows it."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from gate.errors import ShellError
from gate.machine import shell

_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_PATIENCE = 5  # seconds


def made_at(root: Path, commit: str | None) -> str | None:
    """The commit's time as ISO 8601 with its offset; None where nobody here knows the commit."""
    if commit is None or not _COMMIT.fullmatch(commit):
        return None
    try:
        found = shell.run(
            ["git", "-C", str(root), "show", "-s", "--format=%cI", f"{commit}^{{commit}}"],
            timeout=_PATIENCE,
            check=False,
        )
        if found.code != 0:
            return None
        return datetime.fromisoformat(found.out.strip()).isoformat()
    except (ShellError, ValueError):
        return None
