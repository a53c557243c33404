"""Two hundred secrets of nasty shapes, and the ways they travel in."""

from __future__ import annotations

import base64
import html
import json
import random
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

MANY = 200
_NASTY = (
    "{a} {b}",
    "{a}'{b}",
    '{a}"{b}',
    "{a}\\{b}",
    "{a}\n{b}",
    "{a}\r\n  {b}\t{a}",
    "{a}&{b}<{a}>",
    "{a}%{b}%2F",
    "{a}/{b}?{a}#{b}",
    "{a}+{b}==",
    "ä{a}ß{b}€",
    "{a}$({b})`{a}`",
    "'{a}\"{b}'",
    "{a}\\n{b}\\",
    "[{a}](.*){b}",
    "{{{a}}}{{% {b} %}}",
    "</script>{a}{b}",
    "{a};{b},{a}",
    "{a}{b}",
    "-----BEGIN PRIVATE KEY-----\n{a}{b}\n{b}{a}\n-----END PRIVATE KEY-----",
    "😀{a}{b}",
    "postgresql://shop:{a}%2F{b}@db:5432/shop",
)


def secrets(many: int = MANY) -> list[str]:
    """Always the same ones. Each holds pieces that no ordinary text has, so that a rest of one is found, too."""
    made = random.Random(20261128)
    letters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return [
        _NASTY[number % len(_NASTY)].format(a=_piece(made, letters), b=_piece(made, letters)) for number in range(many)
    ]


def _piece(made: random.Random, letters: str) -> str:
    return "".join(made.choices(letters, k=9)) + "Z7q"


_NAMED = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&apos;",
    "/": "&sol;",
    "(": "&lpar;",
    "ä": "&auml;",
}


def traces(value: str) -> set[str]:
    """What must not be found: the secret in any way, and its longest pieces of letters and figures."""
    raw = value.encode()
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in value).split()
    inner = {word for word in words if word.endswith("Z7q") and len(word) >= 12}
    return inner | {raw.hex(), base64.b64encode(raw).decode().rstrip("=")[:-2], quote(value, safe="")}


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "repr of bytes": lambda value: repr(value.encode()),
    "repr in a list of repr": lambda value: repr([repr(value)]),
    "JSON": json.dumps,
    "JSON, not ASCII": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON in JSON": lambda value: json.dumps(json.dumps({"key": value})),
    "HTML": html.escape,
    "HTML, quotes as they are": lambda value: html.escape(value, quote=False),
    "JSON in HTML": lambda value: html.escape(json.dumps({"key": value})),
    "repr in HTML": lambda value: html.escape(repr(value)),
    "URL": lambda value: "https://shop.example/?q=" + quote(value, safe=""),
    "path": lambda value: "GET /reset/" + quote(value),
    "form": lambda value: "key=" + quote_plus(value),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 behind a user": lambda value: base64.b64encode(b"user:" + value.encode()).decode(),
    "base64 in a sentence": lambda value: base64.b64encode(b"it is " + value.encode() + b" here").decode(),
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal of JSON": lambda value: json.dumps({"key": value}).encode().hex(),
    "shell": shlex.quote,
    "shell in shell": lambda value: shlex.quote(f"run {shlex.quote(value)}"),
    "SQL": lambda value: _twice(value, "'"),
    "SQL in SQL": lambda value: _twice(_twice(value, "'"), "'"),
    "CSV": lambda value: _twice(value, '"'),
    "JSON in CSV": lambda value: _twice(json.dumps({"key": value}), '"'),
    "SQL in HTML": lambda value: html.escape(_twice(value, "'")),
    "SQL in JSON": lambda value: json.dumps({"query": f"SELECT {_twice(value, chr(39))}"}),
    "traceback": lambda value: f"    raise ValueError({value!r})\nE   ValueError: {value}",
    "header": lambda value: f"X-Key: {value}",
    "one line of it": lambda value: max(value.splitlines(), key=len),
    "JSON of Go": lambda value: _json_of_go({"key": value}),
    "JSON of PHP": lambda value: json.dumps({"key": value}).replace("/", "\\/"),
    "JSON, three deep": lambda value: json.dumps(json.dumps(json.dumps({"key": value}))),
    "JSON, every character escaped": lambda value: "".join(f"\\u{unit:04X}" for unit in _utf_16(value)),
    "code points in braces": lambda value: "".join(f"\\u{{{ord(letter):x}}}" for letter in value),
    "every byte for a URL": lambda value: "".join(f"%{byte:02X}" for byte in value.encode()),
    "every byte for a URL, small": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "escaped for a URL twice": lambda value: quote(quote(value, safe=""), safe=""),
    "every byte as Python writes it": lambda value: "".join(f"\\x{byte:02x}" for byte in value.encode()),
    "HTML, every character": lambda value: "".join(f"&#{ord(letter)};" for letter in value),
    "HTML, every character, base 16": lambda value: "".join(f"&#x{ord(letter):X};" for letter in value),
    "HTML, by name": lambda value: "".join(_NAMED.get(letter, letter) for letter in value),
    "JSON of Go in HTML in JSON": lambda value: json.dumps(html.escape(_json_of_go(value))),
    "base64 of JSON": lambda value: base64.b64encode(json.dumps({"user": "shop", "key": value}).encode()).decode(),
    "base64 of JSON of Go": lambda value: base64.b64encode(_json_of_go({"key": value}).encode()).decode(),
    "base64 in lines": lambda value: base64.encodebytes(f"a letter of a few words; {value} is in it".encode()).decode(),
    "three literals": lambda value: " ".join(map(repr, _thirds(value))),
    "three literals, added": lambda value: " + ".join(map(json.dumps, _thirds(value))),
    "three literals of a diff": lambda value: "[\nE     +     " + "\nE     +     ".join(map(repr, _thirds(value))),
}


def _twice(value: str, sign: str) -> str:
    return f"{sign}{value.replace(sign, sign * 2)}{sign}"


def _json_of_go(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _utf_16(value: str) -> list[int]:
    raw = value.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]


def _thirds(value: str) -> list[str]:
    third = len(value) // 3
    return [value[:third], value[third : 2 * third], value[2 * third :]]
