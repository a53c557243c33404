"""Secrets: a type that does not print, and the one place that scrubs text before it leaves the gate."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from enum import Enum
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

REDACTED = "[redacted]"

# Shorter values would black out ordinary words; a real secret this short is reported by the settings check.
SHORTEST_SCRUBBED = 6

_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s/:@'\"]*):(?P<password>[^\s/@'\"]+)@", re.I
)
_AUTHORIZATION = re.compile(
    r"(?P<head>\b(?:proxy-)?authorization\b['\"]?\s*[:=]\s*['\"]?(?:basic|bearer|token)?\s*)[^\s'\",;]+", re.I
)
_TOKEN_SHAPES = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,})\b"
)


class Secret:
    """A string that prints as ``[redacted]``; ``reveal()`` is the only way to its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), text]),
            serialization=core_schema.to_string_ser_schema(),
        )


class Redactor:
    """Scrubs known secret values, in every form they commonly travel in, and tokens by shape."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST_SCRUBBED}
        ordered = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        text = _URL_CREDENTIALS.sub(rf"\g<scheme>\g<user>:{REDACTED}@", text)
        text = _AUTHORIZATION.sub(rf"\g<head>{REDACTED}", text)
        return _TOKEN_SHAPES.sub(REDACTED, text)

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


def _forms(value: str) -> set[str]:
    """A secret raw, URL-quoted, as JSON and repr show it, and in base64; the same of its lines and a URL's password."""
    forms = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
    raw = value.encode()
    forms |= {base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    lines = value.splitlines()
    if len(lines) > 1:  # logs are scrubbed line by line
        forms |= {form for line in lines for form in _forms(line.strip())}
    if "://" in value:
        try:
            password = urlsplit(value).password
        except ValueError:  # not a URL after all
            password = None
        if password:  # as it stands there, and as whoever connects with it knows it
            forms |= _forms(password) | _forms(unquote(password))
    return forms
