"""A text as it is meant: without escapes, line prefixes and blanks; and where in the text each part of that stands.

Tools write one value in many ways: escaped for JSON, HTML or a URL, one inside the other, wrapped over lines of a
diff. They are read back here to one way, so that a value has to be looked for only once. All of it takes time in
proportion to the length of the text, and the places are worked out only when somebody asks for them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from html import unescape

_DEEPEST = 5
"""How often escapes of different kinds may stand one inside the other; of one kind: as often as they like."""

_H = "[0-9A-Fa-f]"
_PERCENT = "%(?:25)*"
_REST = rf"{_PERCENT}[89ABab]{_H}"  # of a letter of several bytes
_BYTE = rf"\\+x[89ABab]{_H}"
# Each alternative begins with a character of its own, which makes the search of ordinary text fast; a run of
# backslashes is looked at from its first one only.
_ESCAPE = re.compile(
    rf"%(?P<percent>(?:25)*(?:[CDcd]{_H}{_REST}|[Ee]{_H}(?:{_REST}){{2}}|[Ff][0-7](?:{_REST}){{3}}|{_H}{_H}))"
    rf"|\\(?<!\\\\)\\*(?:(?P<blank>[nrt])"
    rf"|x(?P<bytes>[CDcd]{_H}{_BYTE}|[Ee]{_H}(?:{_BYTE}){{2}}|[Ff][0-7](?:{_BYTE}){{3}}|{_H}{_H})"
    rf"|u(?P<pair>[Dd][89ABab]{_H}{_H}\\+u[Dd][C-Fc-f]{_H}{_H})"
    rf"|u(?P<number>{_H}{{4}}|\{{{_H}{{1,6}}\}})|U(?P<wide>{_H}{{8}}))"
    r"|&(?P<entity>(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)"
    r"|\x1b(?P<colour>\[[0-9;]{0,32}m)"
)
# What pytest and diffs set before a line, and whole lines that only point at the letters above them.
_PREFIX = r"(?:E[ \t]{1,8})?(?:[ \t]{0,80}\?[ \t]{1,80}[-+^ \t]{0,200}(?=[\r\n]|\Z)|[ \t]{0,80}[-+?|│>][ \t]{1,80})?"
_LAYOUT = re.compile(rf"\n{_PREFIX}")
_FIRST = re.compile(rf"\A{_PREFIX}")
_BARE = "\"'`\\+ \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029"
_OMIT = str.maketrans("", "", _BARE)
_OMITTED = re.compile(rf"[{re.escape(_BARE)}]+")

Write = Callable[[re.Match[str]], str]


class Reading:
    """``plain``: without escapes and line prefixes; ``bare``: that without blanks, quotes, ``\\`` and ``+``."""

    def __init__(self, text: str) -> None:
        self._steps: list[tuple[re.Pattern[str], Write, str]] = []
        for _ in range(_DEEPEST):
            before, text = text, self._without(_ESCAPE, _meant, text)
            if text == before:
                break
        if _marked(text):
            text = self._without(_FIRST, _nothing, text)
        self.plain = self._without(_LAYOUT, _line_end, text)
        self.bare = bare(self.plain)

    def in_plain(self, begin: int, end: int) -> tuple[int, int]:
        """Where in ``plain`` a part of ``bare`` stands."""
        return self._blanks.span(begin, end)

    def in_bare(self, end: int) -> int:
        """How much of ``bare`` stands before a place of ``plain``."""
        return self._blanks.now(end)

    def in_text(self, begin: int, end: int) -> tuple[int, int]:
        """Where in the text a part of ``plain`` stands, with all of the escapes at its ends."""
        for places in self._places:
            begin, end = places.span(begin, end)
        return begin, end

    @cached_property
    def _blanks(self) -> _Places:
        return _Places(_OMITTED, _nothing, self.plain)

    @cached_property
    def _places(self) -> list[_Places]:
        return [_Places(*step) for step in reversed(self._steps)]

    def _without(self, pattern: re.Pattern[str], write: Write, text: str) -> str:
        changed = pattern.sub(write, text)
        if changed != text:
            self._steps.append((pattern, write, text))
        return changed


def bare(plain: str) -> str:
    """A text without blanks, quotes, ``\\`` and ``+``."""
    return plain.translate(_OMIT)


def gaps(plain: str) -> dict[int, str]:
    """What ``bare`` leaves out of a text: by the number of letters before it."""
    found: dict[int, str] = {}
    left_out = 0
    for gap in _OMITTED.finditer(plain):
        found[gap.start() - left_out] = gap[0]
        left_out += len(gap[0])
    return found


class _Places:
    """Where the parts of a text stood before ``pattern.sub(write, text)``."""

    def __init__(self, pattern: re.Pattern[str], write: Write, text: str) -> None:
        self._at: list[int] = []  # where each written part begins now, how long it is, and where it stood before
        self._long: list[int] = []
        self._begin: list[int] = []
        self._end: list[int] = []
        shift = 0
        for found in pattern.finditer(text):
            long = len(write(found))
            self._at.append(found.start() + shift)
            self._long.append(long)
            self._begin.append(found.start())
            self._end.append(found.end())
            shift += long - (found.end() - found.start())

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """From the first character to behind the last one; what lies around them and was left out is not part of it."""
        return self._before(begin)[0], self._before(end - 1)[1]

    def now(self, place: int) -> int:
        """Where in the text as it is now a place of the text before stands; one that was left out, where it was."""
        before = bisect_right(self._begin, place - 1) - 1
        if before < 0:
            return place
        return self._at[before] + self._long[before] + max(0, place - self._end[before])

    def _before(self, at: int) -> tuple[int, int]:
        """Where one character stood."""
        place = bisect_right(self._at, at) - 1
        if place < 0:
            return at, at + 1
        beyond = at - self._at[place] - self._long[place]
        if beyond < 0:
            return self._begin[place], self._end[place]
        return self._end[place] + beyond, self._end[place] + beyond + 1


def _marked(text: str) -> bool:
    """Whether the first line has a prefix."""
    found = _FIRST.match(text)
    return found is not None and found.end() > 0


def _nothing(_: re.Match[str]) -> str:
    return ""


def _line_end(_: re.Match[str]) -> str:
    return "\n"


def _meant(found: re.Match[str]) -> str:
    """What an escape stands for; one that stands for nothing stays."""
    kind = found.lastgroup or ""
    try:
        return _MEANINGS[kind](found[kind])
    except (ValueError, OverflowError):
        return found[0]


def _letter(raw: bytes) -> str:
    return chr(raw[0]) if len(raw) == 1 else raw.decode()


_MEANINGS: dict[str, Callable[[str], str]] = {
    "percent": lambda text: _letter(bytes.fromhex("".join(part[-2:] for part in text.split("%")))),
    "bytes": lambda text: _letter(bytes.fromhex("".join(part[:2] for part in text.split("x")))),
    "pair": lambda text: bytes.fromhex(text[:4] + text[-4:]).decode("utf-16-be"),
    "number": lambda text: chr(int(text.strip("{}"), 16)),
    "wide": lambda text: chr(int(text, 16)),
    "entity": lambda text: unescape(f"&{text.rpartition('amp;')[2] or text}"),
    "blank": {"n": "\n", "r": "\r", "t": "\t"}.__getitem__,
    "colour": lambda _: "",
}
