"""Foreign texts, made short: with a mark at the cut, by which redaction knows what is left there of a secret. Pure."""

from __future__ import annotations

MARK = "…"


def head(text: str, most: int) -> str:
    """The beginning of a text, at most so many characters and the mark."""
    return text if len(text) <= most else f"{text[:most]}{MARK}"


def tail(text: str, most: int) -> str:
    """The end of a text, at most so many characters and the mark."""
    return text if len(text) <= most else f"{MARK}{text[-most:]}"
