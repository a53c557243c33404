"""Secrets: a type that does not print, and the one place that scrubs text before it leaves the gate.

Whatever is shown, written, sent or kept goes through a ``Redactor``: values that the environment declares as secrets
(``known``), in every form they commonly travel in, and what looks like a secret (``shapes``). Its time grows with the
length of the text alone, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from gate.redact.forms import SHORTEST
from gate.redact.known import Known
from gate.redact.secret import REDACTED, Secret
from gate.redact.shapes import withhold

__all__ = ["REDACTED", "SHORTEST_SCRUBBED", "Redactor", "Secret"]

# Shorter values would black out ordinary words; the environment's loader names the keys of those it finds.
SHORTEST_SCRUBBED = SHORTEST


class Redactor:
    """Scrubs known secret values, in every form they commonly travel in, and tokens by shape.

    Half a character, as a byte of another encoding becomes, is escaped: no terminal, file or message could hold it, and
    what is around it would be lost with it.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._known = Known(values)

    def __call__(self, text: str) -> str:
        scrubbed = withhold(self._known(text))
        return scrubbed if scrubbed.isascii() else scrubbed.encode("utf-8", "backslashreplace").decode("utf-8")

    def tree(self, value: Any) -> Any:
        """The same for every string inside a JSON-like value, keys included; lists and tuples stay what they are."""
        if isinstance(value, Enum):  # from a list of our own: holds no secret, and must stay what it is
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(str(key)): self.tree(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item) for item in value]
        if isinstance(value, tuple):
            return tuple(self.tree(item) for item in value)
        return value
