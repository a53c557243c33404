"""Takes known values out of a text: whole, in any of their forms; and what is left of one where a text was cut."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence

from gate.redact.forms import SHORTEST, forms, pieces
from gate.redact.secret import REDACTED

SHORTEST_PIECE = 8
"""Characters that what is left of a secret has at least to be taken out."""

_BLANKS = 80
# Where a text was cut: an ellipsis, a line's end (drawn or escaped), or nothing more.
_CUT_AFTER = re.compile(r"[ \t]{0,4}(?:\.\.\.|…|[\r\n]|\\[rn]|\Z)")
_CUT_BEFORE = re.compile(r"(?:\A|\.\.\.|…|[\r\n]|\\[rn])[ \t|│]*\Z")
# A word or a number, with which ordinary lines end as well.
_ORDINARY = re.compile(r"[A-Za-z][a-z]{0,14}|[A-Z]{1,15}|[0-9]{1,11}|[^A-Za-z0-9]+")

Span = tuple[int, int]


class Known:
    """Scrubs the forms of ``values``."""

    def __init__(self, values: Iterable[str]) -> None:
        kept = {value for value in values if value}
        self._whole = _by(slice(0, SHORTEST), (form for value in kept for form in forms(value)))
        cut = {piece for value in kept for piece in pieces(value) if len(piece) > SHORTEST_PIECE}
        self._heads = _by(slice(0, SHORTEST), cut)
        self._tails = _by(slice(0, SHORTEST), (piece[::-1] for piece in cut))
        self._longest = max(map(len, cut), default=0)

    def __call__(self, text: str) -> str:
        if len(text) < SHORTEST:
            return text
        found = [form for head, some in self._whole.items() if head in text for form in some if form in text]
        if found:  # the longest first: one form may begin with another
            text = re.sub("|".join(map(re.escape, sorted(found, key=len, reverse=True))), REDACTED, text)
        spans = [*self._beginnings(text), *self._ends(text)]
        return _without(text, spans) if spans else text

    def _beginnings(self, text: str) -> Iterator[Span]:
        """Where secrets begin that are cut off."""
        for head, some in self._heads.items():
            at = text.find(head)
            while at != -1:
                end = at + _shared(text[at : at + self._longest], some)
                if _tells(text[at:end]) and _CUT_AFTER.match(text, end):
                    yield at, end
                at = text.find(head, end)

    def _ends(self, text: str) -> Iterator[Span]:
        """Where secrets end whose beginning is missing."""
        for backwards, some in self._tails.items():
            tail = backwards[::-1]
            at = text.find(tail)
            while at != -1:
                end = at + SHORTEST
                begin = end - _shared(text[max(0, end - self._longest) : end][::-1], some)
                if _tells(text[begin:end]) and _CUT_BEFORE.search(text[max(0, begin - _BLANKS) : begin]):
                    yield begin, end
                at = text.find(tail, end)


def _by(part: slice, texts: Iterable[str]) -> dict[str, list[str]]:
    """Texts, sorted, by a part of them."""
    found: dict[str, list[str]] = {}
    for text in sorted(set(texts)):
        found.setdefault(text[part], []).append(text)
    return found


def _shared(text: str, known: Sequence[str]) -> int:
    """How many first characters a text shares with the one of ``known``, sorted, that it shares most with."""
    place = bisect(known, text)
    return max(_common(text, one) for one in known[max(0, place - 1) : place + 1])


def _common(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _tells(piece: str) -> bool:
    return len(piece) >= SHORTEST_PIECE and not _ORDINARY.fullmatch(piece)


def _without(text: str, spans: list[Span]) -> str:
    parts, position = [], 0
    for begin, end in sorted(spans):
        if begin >= position:
            parts += [text[position:begin], REDACTED]
        position = max(position, end)
    return "".join([*parts, text[position:]])
