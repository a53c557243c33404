"""Error lines in the logs of a release's own services."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gate.errors import EngineError
from gate.live.observations import Blind, ErrorLines, Role

_FIRST = 300  # characters of a line that are shown
_SEARCHED = 4096


class ErrorWatch:
    """Counts the lines that a service's pattern is found in.

    ``follow`` returns new lines as (service, line), free of secrets (``Engine.follow``). A service without a pattern
    is not watched.
    """

    def __init__(self, follow: Callable[[], list[tuple[str, str]]], patterns: Mapping[str, str], role: Role) -> None:
        self._follow = follow
        self._patterns = {service: re.compile(pattern) for service, pattern in patterns.items()}
        self._role = role
        self._begun = False

    def read(self, at: float) -> list[ErrorLines | Blind]:
        """One row for each service that wrote error lines since the last call.

        The first call that can read the logs, also after one that could not, has a row for every service: a count
        of 0 says that it is watched.
        """
        try:
            lines = self._follow()
        except EngineError as fault:
            self._begun = False
            return [Blind(at, "log_error_rate", f"{self._role}: {fault}", self._role)]
        found: dict[str, list[str]] = {} if self._begun else {service: [] for service in self._patterns}
        self._begun = True
        for service, line in lines:
            pattern = self._patterns.get(service)
            if pattern is not None and pattern.search(line[:_SEARCHED]):
                found.setdefault(service, []).append(line)
        return [
            ErrorLines(at, self._role, service, len(errors), errors[0][:_FIRST] if errors else "")
            for service, errors in found.items()
        ]
