"""What is wrong with an environment's settings: missing, misshapen, still a placeholder, or a default password. Pure.

Names only: no value of a setting ever appears in a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from gate.config import Environment

SHORTEST_PASSWORD = 8

_STAND_INS = re.compile(r"x+|\*+|\.+|-+|0+|none|null|nil|undefined|todo|tbd|fixme|value|string|test|n/?a", re.I)
_PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|this|it)\b|replace[-_ ]?(me|this|with)\b|fill[-_ ]?(me|this)?[-_ ]?in\b|placeholder"
    r"|\byour[-_ ][a-z]|\binsert[-_ ]|<[a-z][a-z _-]{2,}>|\$\{|\$\(|\{\{|\bexample\.(com|org|net)\b|\bto ?do\b|\btbd\b",
    re.I,
)
_SECRET_NAME = re.compile(r"(password|passwd|secret|token|credential|api_?key|private_?key)s?$", re.I)
_COMMON = frozenset(
    {
        "abc123",
        "admin",
        "administrator",
        "default",
        "demo",
        "guest",
        "letmein",
        "login",
        "master",
        "pass",
        "passw0rd",
        "passwd",
        "password",
        "postgres",
        "postgresql",
        "pwd",
        "qwerty",
        "redis",
        "root",
        "sa",
        "secret",
        "server",
        "test",
        "toor",
        "user",
        "valkey",
        "welcome",
    }
)


def is_placeholder(text: str) -> bool:
    """Whether a text only holds the place of a real one: ``changeme``, ``<password>``, ``your-key``, ``TODO``."""
    stripped = text.strip()
    return not stripped or bool(_STAND_INS.fullmatch(stripped) or _PLACEHOLDER.search(stripped))


def is_weak(password: str, *names: str) -> bool:
    """Whether a password is short, common, one of ``names``, or such a word with digits behind it."""
    word = password.lower().rstrip("0123456789!")
    return len(password) < SHORTEST_PASSWORD or not word or word in _COMMON or word in {name.lower() for name in names}


def faults(environment: Environment) -> list[str]:
    """Every fault of the settings, each naming the key in the environment's file."""
    found = [*_missing(environment)]
    for key, name, value in _settings(environment):
        expected = environment.settings.formats.get(name)
        if is_placeholder(value):
            found.append(f"{key}: empty or still a placeholder")
        elif expected is not None and not re.fullmatch(expected, value):
            found.append(f"{key}: is not of the form [settings] formats asks for")
        elif _has_weak_password(environment, name, value):
            found.append(f"{key}: its password is a default or has fewer than {SHORTEST_PASSWORD} characters")
    return found


def _missing(environment: Environment) -> Iterator[str]:
    present = {name for service in environment.services.values() for name in service.env}
    for name in dict.fromkeys([*environment.settings.required, *environment.settings.formats]):
        if name not in present:
            yield f"[services.….env] {name}: required by [settings], but no service has it"


def _settings(environment: Environment) -> Iterator[tuple[str, str, str]]:
    """Key as shown, name and value of everything that is a setting."""
    yield "[app] url", "url", environment.app.url
    for service, config in environment.services.items():
        for name, secret in config.env.items():
            yield f"[services.{service}.env] {name}", name, secret.reveal()
    if environment.database is not None:
        yield "[database] url", "url", environment.database.url.reveal()
    if environment.cache is not None:
        yield "[cache] url", "url", environment.cache.url.reveal()
    for name, secret in environment.options.items():
        yield f"[options] {name}", name, secret.reveal()


def _has_weak_password(environment: Environment, name: str, value: str) -> bool:
    if "://" not in value:
        return bool(_SECRET_NAME.search(name)) and is_weak(value, environment.app.name, name)
    try:
        parts = urlsplit(value)
        password = parts.password
    except ValueError:
        return False
    if password is None:
        return False
    return is_weak(unquote(password), environment.app.name, parts.username or "", parts.path.strip("/"))
