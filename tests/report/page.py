"""A rendered report taken apart, for tests that ask what is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

from gate.redact import Redactor
from gate.report import document
from gate.report.html import render
from gate.report.record import DecisionRecord

VOID = {"meta", "link", "input", "br", "img"}
# What stands apart for a reader although nothing is between its words.
CELLS = {"td", "th", "dt", "dd", "small"}


@dataclass
class Element:
    """One element with its attributes, all the text in it, and what it lies in."""

    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)


@dataclass
class Page(HTMLParser):
    """Every element of a page, in order."""

    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = tuple(element.attributes.get("id", element.tag) for element in self._open)
        element = Element(tag, {name: value or "" for name, value in attrs}, inside)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        closed = self._open.pop()
        if closed.tag in CELLS:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.parts.append(data)

    def all(self, tag: str, inside: str = "") -> list[Element]:
        return [e for e in self.elements if e.tag == tag and (not inside or inside in e.inside)]

    def rows(self) -> list[Element]:
        """The rows of the table of cases."""
        return [e for e in self.all("tr", "cases") if "data-outcome" in e.attributes]

    @property
    def text(self) -> str:
        """What a reader reads, runs of blanks as one."""
        body = next(e for e in self.elements if e.tag == "body")
        return " ".join(body.text.split())


def html_of(record: DecisionRecord) -> str:
    return render(json.loads(json.dumps(document.to_json(record, Redactor()))))


def page_of(record: DecisionRecord) -> Page:
    return parsed(html_of(record))


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page
