"""Everything that whoever runs a command is known as."""

from __future__ import annotations

import os
from collections.abc import Mapping

_CI = ("GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR", "GITLAB_USER_LOGIN", "GITLAB_USER_EMAIL")
"""Who started a CI job. Anybody can set them: they only ever add to what somebody is known as."""


def deployers(login: str, variables: Mapping[str, str] = os.environ) -> list[str]:
    """A login (``user@host``), and who started the CI job that it runs, if it does."""
    return [login, *(variables[name] for name in _CI if variables.get(name))]
