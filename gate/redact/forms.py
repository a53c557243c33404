"""The forms one secret travels in: as it is, in base64 wherever in a longer text it began, in hexadecimal; in lines.

How a text has escaped or wrapped them is no form: that is read back first (``reading``).
"""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

SHORTEST = 6
"""Characters that a form has at least: shorter ones would black out ordinary words."""

_URL_SAFE = str.maketrans("+/", "-_")
_FOR_HTML = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})


def parts(value: str) -> set[str]:
    """A secret without what surrounds it; each line of it, for logs go line by line; and of a URL the password."""
    found = {value, value.strip()}
    lines = value.splitlines()
    if len(lines) > 1:
        found |= {part for line in lines for part in parts(line.strip())}
    if "://" in value:
        try:
            password = urlsplit(value).password
        except ValueError:  # not a URL after all
            password = None
        if password:  # as it stands there, and as whoever connects with it knows it
            found |= {password, unquote(password)}
    return {same for part in found for same in _composed(part) if len(same) >= SHORTEST}


def _composed(part: str) -> set[str]:
    """As it is, and with its accents as letters of their own and as parts of letters: file systems change that."""
    return {part} if part.isascii() else {part, *(unicodedata.normalize(way, part) for way in ("NFC", "NFD"))}


def tells_in_part(part: str) -> bool:
    """Whether what is left of it, where a text was cut, is still secret: the beginning of a URL is none."""
    return "://" not in part


def encoded(part: str) -> set[str]:
    """As what does not look like it any more."""
    written = _written(part)
    return {form for way in written for form in (*_base64(way), *_hexadecimal(way))}


def doubled(part: str) -> set[str]:
    """With a sign twice that means something to whoever fills in texts: formats, templates, Compose, systemd."""
    found = {part.replace(sign, sign * 2) for sign in ("%", "$")}
    return {*found, part.replace("{", "{{").replace("}", "}}")} - {part}


def _written(part: str) -> set[str]:
    """As it is, and as a JSON document holds it: of Python, of most others, of Go, of PHP."""
    wide = json.dumps(part, ensure_ascii=False)[1:-1]
    return {part, json.dumps(part)[1:-1], wide, wide.translate(_FOR_HTML), wide.replace("/", "\\/")}


def _base64(text: str) -> Iterator[str]:
    raw = text.encode("utf-8", "surrogatepass")
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode()
        # The first characters hold bits of what stood before, the last ones bits of what comes after.
        first, last = (0, 2, 3)[before], (before + len(raw)) * 8 // 6
        yield whole[first:last]
        yield whole[first:last].translate(_URL_SAFE)


def _hexadecimal(part: str) -> Iterator[str]:
    raw = part.encode("utf-8", "surrogatepass")
    yield raw.hex()
    yield raw.hex().upper()
