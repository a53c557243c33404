"""What the services of a release write into their logs, as whoever watches it asks for it."""

from __future__ import annotations

from typing import Protocol


class Lines(Protocol):
    """The lines that an instance's services write, from when this was made on."""

    def __call__(self) -> list[tuple[str, str]]:
        """Those since the last call, each as (service, line), free of secrets, in a service's own order.

        A few megabytes a call, the rest with the next. Raises EngineError while a log that exists cannot be read; what
        was read of others comes with the next call that raises nothing.
        """

    @property
    def read_since(self) -> float:
        """By ``time.monotonic()``, when the look began that the last call told of: it saw what was written before."""
