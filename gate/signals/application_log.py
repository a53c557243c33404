"""Error lines in the logs of a release's own services."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping

from gate.errors import EngineError
from gate.live.observations import Blind, ErrorLines, Role
from gate.signals.lines import Lines

_FIRST = 300  # characters of a line that are shown
_SEARCHED = 4096
_AGAIN = 1.0  # seconds until a log that cannot be read is told once more: as often as what else is looked at


class ErrorWatch:
    """Counts the lines that a service's pattern is found in.

    A service without a pattern is not watched.
    """

    def __init__(self, follow: Lines, patterns: Mapping[str, str], role: Role) -> None:
        self._follow = follow
        self._patterns = {service: re.compile(pattern) for service, pattern in patterns.items()}
        self._role = role
        self._begun = False
        self._since = time.monotonic()
        self._told = -math.inf

    def again(self) -> None:
        """What was read before now does not count for what comes: the logs have to be read anew."""
        self._begun, self._since = False, time.monotonic()

    def read(self, at: float) -> list[ErrorLines | Blind]:
        """One row for each service that wrote error lines since the last call.

        The first one that has read the logs, also after one that could not and after ``again``, has a row for every
        service: a count of 0 says that it is watched.
        """
        try:
            lines = self._follow()
        except EngineError as fault:
            self._begun = False
            if at < self._told + _AGAIN:
                return []
            self._told = at
            return [Blind(at, "log_error_rate", f"{self._role}: {fault}", self._role)]
        self._told = -math.inf
        anew = not self._begun and self._follow.read_since >= self._since
        found: dict[str, list[str]] = {service: [] for service in self._patterns} if anew else {}
        self._begun = self._begun or anew
        for service, line in lines:
            pattern = self._patterns.get(service)
            if pattern is not None and pattern.search(line[:_SEARCHED]):
                found.setdefault(service, []).append(line)
        return [
            ErrorLines(at, self._role, service, len(errors), errors[0][:_FIRST] if errors else "")
            for service, errors in found.items()
        ]
