"""What a team's own command gets of the gate's variables: little, and what ``[engine] env`` adds."""

from __future__ import annotations

import os

from gate.config import CommandSettings

_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "TZ", "SSH_AUTH_SOCK")


def variables(settings: CommandSettings) -> dict[str, str]:
    """Its whole environment."""
    given = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    return given | {key: value.reveal() for key, value in settings.env.items()}
