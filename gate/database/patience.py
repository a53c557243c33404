"""How long a migration may wait for a lock, and how often it is tried again: the same with every tool.

Whoever waits for a lock holds up all who come after. So a migration gives up soon, lets them pass, and comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from gate.database.migrations import MigrationFailed, Progress

LOCK_NOT_AVAILABLE = "55P03"

_CAN_NOTICE_A_DEAD_CLIENT = 140000  # the first server version that can
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds

_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """Time-outs in seconds for each statement, and how often a migration without a lock is tried again."""

    lock_timeout: float
    statement_timeout: float
    lock_retries: int = 0
    progress: Progress = lambda _: None

    def settings(self, server_version: int) -> dict[str, str]:
        """The server's settings for a session that migrates, by name."""
        made = {
            "lock_timeout": f"{self.lock_timeout * 1000:.0f}",
            "statement_timeout": f"{self.statement_timeout * 1000:.0f}",
        }
        if server_version >= _CAN_NOTICE_A_DEAD_CLIENT:
            made["client_connection_check_interval"] = "1s"
        return made

    def again(self, act: Callable[[], _T]) -> _T:
        """What ``act`` returns; it is called again, after a growing pause, while it fails for a lock that did not come.

        Raises what it raised last.
        """
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda fault: (
                    isinstance(fault, MigrationFailed) and fault.whole and fault.sqlstate == LOCK_NOT_AVAILABLE
                )
            ),
            stop=tenacity.stop_after_attempt(self.lock_retries + 1),
            wait=tenacity.wait_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
            before_sleep=self._tell,
            reraise=True,
        )
        return retry(act)

    def _tell(self, state: tenacity.RetryCallState) -> None:
        fault = state.outcome.exception() if state.outcome else None
        revision = fault.revision if isinstance(fault, MigrationFailed) else None
        self.progress(
            f"{revision or 'the migration'} got no lock within {self.lock_timeout:g} s; "
            f"try {state.attempt_number + 1} of {self.lock_retries + 1} in {state.upcoming_sleep:g} s"
        )
