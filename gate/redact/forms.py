"""The forms one secret travels in: quoted for a URL, escaped for JSON, Python, HTML or a shell, encoded, in lines."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html import escape
from shlex import quote as shell_quote
from urllib.parse import quote, quote_plus, unquote, urlsplit

SHORTEST = 6
"""Characters that a form has at least: shorter ones would black out ordinary words."""

_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
_PERCENT = re.compile(r"%[0-9A-F]{2}")


def forms(value: str) -> set[str]:
    """A secret in every form; the same of its lines, of a URL's password, and of what surrounds it left out."""
    return {form for part in _parts(value) for form in _written(part) | _encoded(part) if len(form) >= SHORTEST}


def pieces(value: str) -> set[str]:
    """The forms that a part may be left of, where a text was cut: not of whole URLs, whose beginning is no secret."""
    parts = {part for part in _parts(value) if "://" not in part}
    return {form for part in parts for form in _written(part) | {_base64(part)} if len(form) >= SHORTEST}


def _parts(value: str) -> set[str]:
    parts = {value, value.strip()}
    lines = value.splitlines()
    if len(lines) > 1:  # logs are scrubbed line by line
        parts |= {found for line in lines for found in _parts(line.strip())}
    if "://" in value:
        try:
            password = urlsplit(value).password
        except ValueError:  # not a URL after all
            password = None
        if password:  # as it stands there, and as whoever connects with it knows it
            parts |= {password, unquote(password)}
    return parts


def _written(value: str) -> set[str]:
    """As text shows it; what one tool has escaped, another one may escape again."""
    if _PLAIN.fullmatch(value):
        return {value}
    once = {value, *(write(value) for write in _WRITERS)}
    return once | {again(text) for text in once if text != value for again in _AGAIN}


def _json(value: str) -> str:
    return json.dumps(value)[1:-1]


def _wide_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _repr(value: str) -> str:
    return repr(value)[1:-1]


def _repr_of_bytes(value: str) -> str:
    return repr(value.encode("utf-8", "surrogatepass"))[2:-1]


def _repr_in_double_quotes(value: str) -> str:
    return repr(value + "'")[1:-2] if '"' not in value else repr(value + '"')[1:-2]


def _repr_beside_both_quotes(value: str) -> str:
    return repr(value + "'\"")[1:-4]


def _url(value: str) -> str:
    return quote(value, safe="", errors="replace")


def _path(value: str) -> str:
    return quote(value, errors="replace")


def _form_field(value: str) -> str:
    return quote_plus(value, errors="replace")


def _lower(write: Callable[[str], str]) -> Callable[[str], str]:
    """Percent signs with small letters, as some libraries write them."""
    return lambda value: _PERCENT.sub(lambda found: found[0].lower(), write(value))


def _markup(value: str) -> str:
    """As template engines escape it: with numbers for quotes."""
    return escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _text_only(value: str) -> str:
    """As it stands in XML: quotes need no escape there."""
    return escape(value, quote=False)


def _shell(value: str) -> str:
    return shell_quote(value)[1:-1]


def _one_line(value: str) -> str:
    """As many a log writes it: every run of blanks and line ends as one blank."""
    return " ".join(value.split())


_WRITERS: tuple[Callable[[str], str], ...] = (
    _json, _wide_json, _repr, _repr_of_bytes, _repr_in_double_quotes,
    _repr_beside_both_quotes,
    _url, _path, _form_field, _lower(_url), _lower(_path), _lower(_form_field),
    escape, _markup, _text_only, _shell, _one_line,
)  # fmt: skip
_AGAIN: tuple[Callable[[str], str], ...] = (_json, _repr, escape, _markup, _url)


def _encoded(value: str) -> set[str]:
    """As what does not look like it any more: base64, wherever in a longer text it began, and hexadecimal."""
    raw = value.encode("utf-8", "surrogatepass")
    found = {raw.hex(), raw.hex().upper()}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode()
        # The first characters hold bits of what stood before, the last ones bits of what comes after.
        first, last = (0, 2, 3)[before], (before + len(raw)) * 8 // 6
        found |= {text[first:last], text[first:last].translate(_URL_SAFE)}
    return found


def _base64(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode().rstrip("=")


_URL_SAFE = str.maketrans("+/", "-_")
