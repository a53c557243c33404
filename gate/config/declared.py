"""Which values of an environment file are secrets, and which of those nobody could keep out of a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from gate.config import Environment
from gate.redact import SHORTEST_SCRUBBED, Secret

Keys = tuple[str, ...]
Used = Mapping[Keys, Mapping[str, str]]
"""Path of a key → the variables that its text holds, with their values."""

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?s?(_|$)|pwd|secret|token|credential|(^|_|api|private|access)key|auth|cert|private|dsn|salt"
    r"|webhook|cookie|session|signature|bearer|jwt|(^|_)pin(_|$)",
    re.I,
)
_CREDENTIALS = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@", re.I)
# What a setting may well be, and every second sentence holds.
_ORDINARY = {
    *("production", "staging", "development", "testing", "release", "candidate", "stable", "default", "localhost"),
    *("127.0.0.1", "::1", "warning", "critical", "enabled", "disabled", "database", "postgres", "postgresql"),
    *("backend", "frontend", "python", "docker", "process", "command"),
}


@dataclass(frozen=True)
class Declared:
    """``values`` must never be printed; ``exposed`` are sentences about secrets that cannot be kept from being so."""

    values: frozenset[str]
    exposed: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """A value that may be a secret; ``named``: the name of its key or variable says that it is one.

    ``password``: the part of it that has to be long enough; empty where its variables are looked at for that.
    """

    path: Keys
    value: str
    named: bool
    password: str


def declared(environment: Environment, used: Used, name: str) -> Declared:
    """The secrets of an environment called ``name``: variables and texts of secret keys, credentials in URLs, and
    variables that are called like a secret, wherever they stand."""
    ordinary = _ORDINARY | {name, environment.app.name, *environment.services}
    found = [*_of_secret_keys(environment, (), used), *_of_variables(used)]
    values: set[str] = set()
    exposed: list[str] = []
    for item in found:
        if not item.value:
            continue
        if item.value in ordinary:
            if item.named:
                exposed.append(
                    f"{_key(item.path)}: is an ordinary word, so it is not taken out of what is shown and kept"
                )
            continue
        if item.named and 0 < len(item.password) < SHORTEST_SCRUBBED:
            exposed.append(
                f"{_key(item.path)}: shorter than {SHORTEST_SCRUBBED} characters, so it cannot be taken out of what is "
                "shown and kept: make it longer"
            )
        values.add(item.value)
    words = [(path, variable) for path, names in used.items() if path[-1].isdecimal() for variable in names]
    exposed += [
        f"{_key(path[:-1])}: {variable} becomes part of a command line, which every user of the machine can list: hand "
        "it over in a variable"
        for path, variable in words
        if _SECRET_NAME.search(variable) and not variable.startswith("generated:")
    ]
    return Declared(frozenset(values), tuple(dict.fromkeys(exposed)))


def _of_secret_keys(value: Any, path: Keys, used: Used) -> Iterator[_Found]:
    if isinstance(value, Secret):
        text, variables = value.reveal(), used.get(path, {})
        password = _password(text)
        named = password is not None or bool(_SECRET_NAME.search(path[-1]))
        if variables or named:
            yield _Found(path, text, named, "" if variables else password or text)
        for variable, content in variables.items():
            yield _Found(path, content, named or bool(_SECRET_NAME.search(variable)), content)
    elif isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from _of_secret_keys(getattr(value, key), (*path, key), used)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _of_secret_keys(item, (*path, str(key)), used)


def _of_variables(used: Used) -> Iterator[_Found]:
    """Variables in keys that are shown otherwise: an address is no secret, a token in it is."""
    for path, variables in used.items():
        for variable, content in variables.items():
            named = bool(_SECRET_NAME.search(variable))
            if named or _CREDENTIALS.search(content):
                yield _Found(path, content, named, content)


def _password(value: str) -> str | None:
    if not _CREDENTIALS.match(value):
        return None
    try:
        return urlsplit(value).password
    except ValueError:
        return None


def _key(path: Keys) -> str:
    *tables, key = path
    return f"[{'.'.join(tables)}] {key}" if tables else key
