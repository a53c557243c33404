"""Who is who: a name, a login, an address in a commit. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from gate.config.approval import Person

_ADDRESS = re.compile(r"^(.*?)\s*<([^<>]+)>$")


def keys_of(names: Iterable[str], people: Mapping[str, Person]) -> frozenset[str]:
    """What names are compared by: the persons behind them; of a stranger the name, and what stands before its ``@``.

    ``alice@ops`` and ``alice@example.com`` are taken for the same person unless ``people`` tells them apart: to take
    one person for two is the worse mistake.
    """
    parts = {part for name in names for part in _parts(name) if part}
    found: set[str] = set()
    for part in parts:
        exactly = {key for key, person in people.items() if part in _names(key, person)}
        if exactly:
            found |= {f"person {key}" for key in exactly}
            continue
        mine = {part, _before_at(part)}
        found |= mine
        found |= {
            f"person {key}" for key, person in people.items() if mine & {_before_at(one) for one in _names(key, person)}
        }
    return frozenset(found)


def stranger(names: Iterable[str], people: Mapping[str, Person]) -> str | None:
    """The first of the names behind which ``people`` has nobody, so that it may be anybody's; None where it has, or
    where nobody is named at all."""
    if not people:
        return None
    return next((name for name in names if not any(key.startswith("person ") for key in keys_of([name], people))), None)


def named(login: str, people: Mapping[str, Person]) -> str | None:
    """The person whose login this is; None where that is nobody, or not one alone."""
    parts = {_plain(login), _before_at(_plain(login))}
    found = [key for key, person in people.items() if parts & _names(key, person)]
    return found[0] if len(found) == 1 else None


def _names(key: str, person: Person) -> set[str]:
    return {part for name in (key, *person.known_as) for part in _parts(name)}


def _parts(name: str) -> list[str]:
    """``Alice Doe <alice@example.com>`` is the name and the address."""
    match = _ADDRESS.match(name.strip())
    return [_plain(part) for part in (match.groups() if match else (name,))]


def _before_at(name: str) -> str:
    return name.partition("@")[0]


def _plain(name: str) -> str:
    """A name as it is compared: a letter may be written in several ways, and some that are there nobody sees."""
    letters = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(letter for letter in letters if unicodedata.category(letter) != "Cf").split())
