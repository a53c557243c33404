"""What a team's own command gets of the gate's variables: little, and what ``[engine] env`` adds."""

from __future__ import annotations

from gate.config import CommandSettings
from gate.machine import surroundings

_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "TZ", "SSH_AUTH_SOCK")


def variables(settings: CommandSettings) -> dict[str, str]:
    """Its whole environment."""
    return surroundings.kept(_PASSED_ON) | {key: value.reveal() for key, value in settings.env.items()}
