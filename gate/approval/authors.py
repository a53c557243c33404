"""Who wrote a release: the authors of its commit, as git and the release's manifest tell."""

from __future__ import annotations

import os
from pathlib import Path

from gate import shell
from gate.errors import OperationFailed, ShellError
from gate.releases import Release, manifest_of

_FORMAT = "%an <%ae>%n%(trailers:key=Co-authored-by,valueonly)"
_TIMEOUT = 20.0


def of(release: Release, root: Path) -> list[str]:
    """Author and co-authors of a release's commit, and the ``author`` its manifest names, if it does.

    Raises OperationFailed where neither tells: nobody can be proven not to be one then.
    """
    told = _told_by_the_manifest(release)
    if release.commit is None:
        if told:
            return told
        raise OperationFailed(f"{release.version} names neither its commit nor its author")
    try:
        found = _told_by_git(release.commit, root)
    except ShellError as fault:
        if told:
            return told
        raise OperationFailed(f"commit {release.commit[:12]} of {release.version}: {fault}") from None
    return list(dict.fromkeys([*found, *told]))


def _told_by_git(commit: str, root: Path) -> list[str]:
    # A commit is named by a manifest, which is data: it must not pass for an option.
    argv = ["git", "-C", str(root), "log", "-1", f"--format={_FORMAT}", "--end-of-options", commit]
    ended = shell.run(argv, timeout=_TIMEOUT, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})
    return [line.strip() for line in ended.out.splitlines() if line.strip()]


def _told_by_the_manifest(release: Release) -> list[str]:
    try:
        author = manifest_of(release.folder).get("author")
    except OperationFailed:
        return []
    return [author] if isinstance(author, str) and author.strip() else []
