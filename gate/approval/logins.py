"""Everything that whoever runs a command is known as."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

CI = ("GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR", "GITLAB_USER_LOGIN", "GITLAB_USER_EMAIL", "BUILD_USER_ID")
"""Who started a CI job; the last one is what plugins of Jenkins call that. Anybody can set them: they only ever add to
what somebody is known as."""
SAID = ("SUDO_USER", *CI)
"""Every variable that adds to what somebody is known as."""
_BETWEEN = ", "


def known_as(login: str, variables: Mapping[str, str] = os.environ) -> list[str]:
    """A login (``account@host``), the one that it was before ``sudo``, and who started the CI job that it runs."""
    before, host = variables.get("SUDO_USER"), login.partition("@")[2]
    return [login, *([f"{before}@{host}"] if before else []), *filter(None, map(variables.get, CI))]


def joined(names: Iterable[str]) -> str:
    """Names as a sign-off keeps them, on one line."""
    return _BETWEEN.join(names)


def split(text: str) -> list[str]:
    """The names that ``joined`` was given."""
    return text.split(_BETWEEN)
