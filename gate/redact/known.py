"""Takes known values out of a text: whole, in any of their forms; and what is left of one where a text was cut.

A value is looked for in what the text means (``reading``), by short runs of characters: every third place of the text
is looked up in a table of all runs of all forms, and where one is known, as much as text and form share is measured.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gate.redact.forms import doubled, encoded, parts, tells_in_part
from gate.redact.reading import Reading, bare, gaps
from gate.redact.secret import REDACTED

SHORTEST_PIECE = 8
"""Characters that what is left of a secret has at least to be taken out."""

_RUN = 3
_RUNS = re.compile("." * _RUN, re.DOTALL)
_SHORTEST_FOUND = 2 * _RUN - 1  # shorter ones may lie between the places that are looked up
_LONG = 16
"""Characters from which on a match may be wrapped or cut in any place: so many are never equal by chance."""
_TELLING = 24
"""Characters of a secret that are taken out wherever they stand: of a value that is nearly the same, for example."""
_QUOTED = 12
"""Characters that a piece has at least where a quote, not a cut alone, ends it: short words stand in quotes as well."""

_BLANKS = 80
# Where a text was cut: an ellipsis, a line's end, or nothing more; and with a quote around the piece.
_CUT_AFTER = re.compile(r"[ \t]{0,4}(?:\.\.\.|…|[\r\n]|\Z)")
_CUT_BEFORE = re.compile(r"(?:\A|\.\.\.|…|[\r\n])[ \t|│]*\Z")
_QUOTE_AFTER = re.compile(r"[ \t]{0,4}['\"`][ \t,;+)\]}\\]{0,8}(?:[\r\n]|\Z)")
_QUOTE_BEFORE = re.compile(r"(?:\A|[\r\n])[ \t+(\[{]*b?['\"`][ \t]*\Z")
_CUT = re.compile(r"['\"`]?[ \t]{0,4}(?:\.\.\.|…|[\r\n])[ \t|│]*(?:b?['\"`])?")
# A word or a number, with which ordinary lines end as well.
_ORDINARY = re.compile(r"[A-Za-z][a-z]{0,14}|[A-Z]{1,15}|[0-9]{1,11}|[^A-Za-z0-9]+")
_JOINT = re.compile(r"['\"`][\s\\]*\+?[\s\\]*['\"`]")
_SPACES = re.compile(r"\s+")
_QUOTES = re.compile(r"['\"`]")
_ENDS = 2
"""Quotes between two literals."""

Span = tuple[int, int]
_NOWHERE: Span = (0, 0)


@dataclass(frozen=True)
class _Form:
    bare: str
    gaps: Mapping[int, str]
    """What stands between the letters of ``bare``."""
    piecewise: bool
    """Whether pieces of it are secret as well."""
    code: bool
    """Whether it is base64 or hexadecimal: that may be wrapped in any place, however short it is."""


class Known:
    """Scrubs the forms of ``values``."""

    def __init__(self, values: Iterable[str]) -> None:
        self._parts = sorted({part for value in values for part in parts(value)})
        self._runs: dict[str, list[tuple[_Form, int]]] = defaultdict(list)
        self._short: list[_Form] = []
        for form in sorted(_forms(self._parts), key=lambda form: form.bare):
            if len(form.bare) < _SHORTEST_FOUND:
                self._short.append(form)
            for at in range(len(form.bare) - _RUN + 1):
                self._runs[form.bare[at : at + _RUN]].append((form, at))
        self._runs.default_factory = None

    def __call__(self, text: str) -> str:
        if not self._parts:
            return text
        reading = Reading(text)
        spans = [reading.in_text(*span) for span in (*self._found(reading), *self._found_short(reading))]
        return _without(text, [*spans, *self._as_they_are(text)])

    def _as_they_are(self, text: str) -> Iterator[Span]:
        """Values that stand in the text as they are: what is around them cannot hide them."""
        for part in self._parts:
            at = text.find(part)
            while at != -1:
                yield at, at + len(part)
                at = text.find(part, at + len(part))

    def _found_short(self, reading: Reading) -> Iterator[Span]:
        """Forms with so few letters that no run of them need lie at a place that is looked up."""
        for form in self._short:
            at = reading.bare.find(form.bare)
            while at != -1:
                span = reading.in_plain(at, at + len(form.bare))
                if _same(reading.plain[slice(*span)], form):
                    yield span
                at = reading.bare.find(form.bare, at + len(form.bare))

    def _found(self, reading: Reading) -> Iterator[Span]:
        """Spans of ``reading.plain``."""
        runs, done = self._runs, 0
        hits = [place * _RUN for place, run in enumerate(_RUNS.findall(reading.bare)) if run in runs]
        for at in hits:
            if at + _RUN <= done:
                continue
            found = max((_match(reading, at, *place) for place in runs[reading.bare[at : at + _RUN]]), key=_length)
            if found[1]:
                yield found
                done = reading.in_bare(found[1])


def _length(span: Span) -> int:
    return span[1] - span[0]


def _match(reading: Reading, at: int, form: _Form, offset: int) -> Span:
    """Where in ``plain`` a form stands, or a piece of it, whose character ``offset`` is at a place of ``bare``."""
    begin = at - offset
    if begin >= 0 and reading.bare.startswith(form.bare, begin):
        span = reading.in_plain(begin, begin + len(form.bare))
        if len(form.bare) >= _LONG or _same(reading.plain[slice(*span)], form):
            return span
    if not form.piecewise:
        return _NOWHERE
    begin, end = _shared(reading.bare, at, form.bare, offset)
    at_head, at_tail = begin == at - offset, end == at - offset + len(form.bare)
    if end - begin < _SHORTEST_FOUND or not (at_head or at_tail or end - begin >= _LONG):
        return _NOWHERE
    span = reading.in_plain(begin, end)
    if end - begin >= _TELLING:
        return span
    return _piece(reading.plain, form, begin - at + offset, *span, at_head=at_head, at_tail=at_tail)


def _piece(plain: str, form: _Form, first: int, begin: int, end: int, *, at_head: bool, at_tail: bool) -> Span:
    """What a cut left of a form, within what a text shares with it from its letter ``first`` on.

    That may go on by chance beyond the cut.
    """
    shared = begin
    begin, end = _with_its_own_signs(plain, form, first, begin, end)
    if not at_head:
        begin = _after_cut(plain, begin, end)
    if not at_tail:
        end = _before_cut(plain, begin, end)
    piece = plain[begin:end]
    many = len(bare(piece))
    if len(piece) < SHORTEST_PIECE or many < _SHORTEST_FOUND or _ORDINARY.fullmatch(piece):
        return _NOWHERE
    if many < _LONG and not (at_head or at_tail):
        return _NOWHERE
    if many < _QUOTED and (
        not (at_head or _CUT_BEFORE.search(plain[max(0, begin - _BLANKS) : begin]))
        or not (at_tail or _CUT_AFTER.match(plain, end))
    ):
        return _NOWHERE
    first += len(bare(plain[shared:begin]))
    return (begin, end) if many >= _LONG or _same(piece, form, first) else _NOWHERE


def _with_its_own_signs(plain: str, form: _Form, first: int, begin: int, end: int) -> Span:
    """What is shared, with the quotes and blanks around it that are the form's own."""
    before, after = form.gaps.get(first, ""), form.gaps.get(first + len(bare(plain[begin:end])), "")
    while begin and plain[begin - 1] in before:
        begin -= 1
    while end < len(plain) and plain[end] in after:
        end += 1
    return begin, end


def _after_cut(plain: str, begin: int, end: int) -> int:
    """The first place within a span that has a cut before it; the end when there is none."""
    before = plain[max(0, begin - _BLANKS) : begin]
    if _CUT_BEFORE.search(before) or _QUOTE_BEFORE.search(before):
        return begin
    found = _CUT.search(plain, begin, end)
    return found.end() if found else end


def _before_cut(plain: str, begin: int, end: int) -> int:
    """The last place within a span that has a cut after it; the beginning when there is none."""
    if _CUT_AFTER.match(plain, end) or _QUOTE_AFTER.match(plain, end):
        return end
    return max((found.start() for found in _CUT.finditer(plain, begin, end)), default=begin)


def _forms(known: Iterable[str]) -> Iterator[_Form]:
    for part in known:
        codes = encoded(part)
        for form in {part, *doubled(part), *codes}:
            reading = Reading(form)
            if reading.bare:
                yield _Form(reading.bare, gaps(reading.plain), tells_in_part(part), form in codes)


def _shared(text: str, at: int, form: str, offset: int) -> Span:
    """Where the text shares with the form what surrounds a run of both. Letter by letter: mostly it is none or two."""
    begin, end, shift = at, at + _RUN, offset - at
    first, last = max(0, at - offset), min(len(text), at - offset + len(form))
    while begin > first and text[begin - 1] == form[begin - 1 + shift]:
        begin -= 1
    while end < last and text[end] == form[end + shift]:
        end += 1
    return begin, end


def _closely(plain: str) -> str:
    """A text without what tools put between its characters: backslashes, more blanks, the ends of literals."""
    return _SPACES.sub(" ", _JOINT.sub("", plain).replace("\\", ""))


def _same(plain: str, form: _Form, first: int = 0) -> bool:
    """Whether a part of a text is the form from its letter ``first`` on: what stands between the letters is like it."""
    here, many = gaps(plain), len(bare(plain))
    places = {place for place in (*here, *(own - first for own in form.gaps)) if 0 < place < many}
    return all(_alike(here.get(place, ""), form.gaps.get(place + first, ""), form) for place in places)


def _alike(gap: str, own: str, form: _Form) -> bool:
    """Whether tools make such a gap of the form's own: blanks where it has some, or ``+`` for them; quotes where it has
    some, once or twice or escaped; elsewhere the ends of literals; in a code a line's end or a blank."""
    if _QUOTES.search(own):
        many = len(_QUOTES.findall(gap))
        if not many:
            return False
        gap, own = _QUOTES.sub("", gap), _QUOTES.sub("", own)
        if many > _ENDS and not own and not gap.strip("\\+ \t\r\n"):  # literals end beside it
            return True
    gap, own = _closely(gap), _closely(own)
    return gap == own or _closely(gap.replace("+", " ")) == own or (form.code and gap == " ")


def _without(text: str, spans: list[Span]) -> str:
    parts, position = [], 0
    for begin, end in sorted(spans):
        if begin >= position:
            parts += [text[position:begin], REDACTED]
        position = max(position, end)
    return "".join([*parts, text[position:]])
