"""Who wrote a release: the authors of its commit, as git and the release's manifest tell."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gate.approval.signoffs import Subject
from gate.errors import OperationFailed, ShellError
from gate.machine import shell
from gate.releases import MANIFEST, Release, manifest_of

_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
"""One commit by its whole name. A branch, a range or ``HEAD~1`` may mean another one tomorrow, or none."""
_FORMAT = "%an <%ae>%n%(trailers:key=Co-authored-by,valueonly)"
_SHORT = 7
"""Digits of a hash that are enough to know it by, where the version's tag has the rest."""
_TIMEOUT = 20.0


def of(subject: Subject, root: Path) -> list[str]:
    """Author and co-authors of a release's commit, and those its manifest names, semicolons between, if it does.

    Raises OperationFailed where neither tells: nobody can be proven not to be one then. So it does where the version's
    tag leads to another commit than the manifest names, which an author may have written.
    """
    commit = _confirmed(subject, root)
    told = [name for part in subject.author.split(";") if (name := part.strip())]
    try:
        found = _told_by_git(commit, root)
    except OperationFailed as fault:
        if told:
            return told
        raise OperationFailed(f"{subject.version} names no author, and of its commit {fault}") from None
    return list(dict.fromkeys([*found, *told]))


def declared(release: Release) -> str:
    """The ``author`` that a release's manifest names, on one line; empty where it names none."""
    try:
        author = manifest_of(release.folder).get("author")
    except OperationFailed:
        return ""
    return " ".join(author.split()) if isinstance(author, str) else ""


def _confirmed(subject: Subject, root: Path) -> str:
    """The commit that the manifest names, or, where it names none, the one that the version's tag leads to."""
    tagged = _tagged(subject.version, root)
    named = subject.commit or next(iter(tagged.values()), "")
    whole = next(
        (commit for commit in tagged.values() if len(named) >= _SHORT and commit.startswith(named.lower())), ""
    )
    named = whole or named
    for tag, commit in tagged.items():
        if commit != named.lower():
            raise OperationFailed(
                f"{subject.version} is made from {named[:12]}, says {MANIFEST}, and the tag {tag} is {commit[:12]}"
            )
    return named


def _tagged(version: str, root: Path) -> dict[str, str]:
    """The commits that the tags of a version lead to; none where there is no tag, or no repository."""
    tags = [f"refs/tags/v{version}", f"refs/tags/{version}"]
    shown = "%(refname:short) %(objectname) %(*objectname)"  # the last is empty unless the tag is an object of its own
    try:
        ended = shell.run(
            ["git", "-C", str(root), "for-each-ref", f"--format={shown}", *tags],
            timeout=_TIMEOUT, env=_variables(), check=False,
        )  # fmt: skip
    except ShellError:  # no git here: it will not tell the authors either
        return {}
    if ended.code != 0 and any((place / ".git").exists() for place in (root, *root.parents)):
        raise OperationFailed(
            f"git does not tell what the tags of {version} lead to: {ended.err.strip() or f'exit code {ended.code}'}",
            next_step=f"see that git -C {root} tag works for who runs the gate",
        )
    rows = [line.split() for line in ended.out.splitlines()] if ended.code == 0 else []
    return {row[0]: row[-1] for row in rows if len(row) > 1}


def _variables() -> dict[str, str]:
    """None of those that lead git to another repository, or configure it; and the commit itself, not what stands in
    for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1"}


def _told_by_git(commit: str, root: Path) -> list[str]:
    """Raises OperationFailed where git tells nobody."""
    if not commit:
        raise OperationFailed("it says nothing")
    if not _COMMIT.fullmatch(commit):
        raise OperationFailed(f"it says {commit[:40]!r}, which is not the whole hash of one")
    argv = ["git", "-C", str(root), "log", "-1", "--no-walk", f"--format={_FORMAT}", "--end-of-options", commit]
    try:
        ended = shell.run(argv, timeout=_TIMEOUT, env=_variables())
    except ShellError as fault:
        raise OperationFailed(f"{commit[:12]} git knows nothing: {fault}") from None
    found = [line.strip() for line in ended.out.splitlines() if any(map(str.isalnum, line))]
    if not found:
        raise OperationFailed(f"{commit[:12]} git names no author")
    return found
