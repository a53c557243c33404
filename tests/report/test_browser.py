"""The page in a real browser: it works, it asks for nothing, and what others wrote does not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from gate.report.html import render
from gate.report.record import DecisionRecord, SuiteRecord
from gate.results import Case, CaseOutcome, Severity
from tests.report import hostile, samples
from tests.report.page import html_of
from tests.suite.project import SECRET, Project

HOSTILE_CASES = f"""
import logging
BAD = {hostile.PAYLOAD!r}

@pytest.mark.parametrize("text", [BAD], ids=[BAD])
def test_named(text, record_property, measure):
    print(BAD)
    logging.getLogger(BAD).error(BAD)
    record_property(BAD, BAD)
    assert False, BAD

def test_told(warn, measure):
    '</script><img src=x onerror=ran()>'
    warn(BAD)
    measure("disk", 0.1, detail=BAD)

def test_raised():
    raise OSError(BAD)
"""


class Reader:
    """A browser that notes every request but the first, every error, and every word on the console."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._file = folder / "report.html"
        self.heard: list[str] = []
        self.requested: list[str] = []

    def open(
        self,
        html: str,
        *,
        width: int = 1280,
        scheme: Literal["dark", "light"] = "light",
        script: bool = True,
    ) -> Page:
        self._file.write_text(html, encoding="utf-8")
        page = self._browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        page.on("console", lambda message: self.heard.append(message.text))
        page.on("pageerror", lambda error: self.heard.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))
        page.goto(self._file.as_uri())
        return page

    @property
    def others(self) -> list[str]:
        return [url for url in self.requested if url != self._file.as_uri() and not url.startswith("data:")]


@pytest.fixture
def reader(chromium: Browser, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(chromium, tmp_path)
    yield reader
    assert reader.others == []


def shown(page: Page) -> int:
    return page.locator("table.cases tbody tr:visible").count()


def unfold(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach(item => item.open = true)")


def sideways(page: Page) -> int:
    """By how many pixels the page can be moved sideways."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - innerWidth"))


def press(page: Page, outcome: str) -> None:
    page.locator(f'.filters button[data-outcome="{outcome}"]').click()


def of_many(number: int) -> DecisionRecord:
    cases = tuple(
        Case(f"smoke/m.py::test_{index}", "Security", Severity.HIGH, CaseOutcome.PASSED, 0.01)
        for index in range(number)
    )
    return replace(samples.released(), suites=(SuiteRecord("smoke", "front", number, 1.0, cases),))


def test_filters_leave_what_was_asked_for(reader: Reader) -> None:
    page = reader.open(html_of(samples.rolled_back()))
    everything = shown(page)
    assert everything == 49
    press(page, "failed")
    assert shown(page) == 1
    assert page.locator(".rest .shown").inner_text() == "1 of 49 cases shown"
    press(page, "")
    page.locator(".filters select").select_option("smoke-restored")
    assert shown(page) == 10
    page.locator(".filters input").fill("sign_in")
    assert shown(page) == 1
    page.locator(".filters select").select_option("")
    page.locator(".filters input").fill("")
    assert shown(page) == everything
    assert reader.heard == []


def test_the_rest_of_many_cases_is_a_click_away(reader: Reader) -> None:
    page = reader.open(html_of(of_many(450)))
    assert shown(page) == 200
    page.get_by_role("button", name="show all of them").click()
    assert shown(page) == 450


def test_without_scripts_all_of_it_can_be_read(reader: Reader) -> None:
    page = reader.open(html_of(of_many(450)), script=False)
    assert page.get_by_text("1.1.0 serves all traffic.").is_visible()
    assert page.locator("#steps tbody tr:visible").count() == 9
    assert page.locator("#readiness .scores tbody tr:visible").count() == 8
    assert shown(page) == 450
    assert page.locator(".filters").is_hidden()


def hostile_page(which: str, folder: Path, payload: str) -> str:
    if which == "report":
        return render(hostile.record(payload))
    root = folder / "project"
    root.mkdir()
    return hostile.index_page(root, payload)


PAGES = pytest.mark.parametrize("which", ["report", "index"])


@PAGES
def test_what_others_wrote_does_not_run(reader: Reader, which: str, tmp_path: Path) -> None:
    html = hostile_page(which, tmp_path, hostile.PAYLOAD)
    page = reader.open(html.replace("Content-Security-Policy", "x"))  # which would stop it as well
    unfold(page)
    assert page.get_by_text("onerror=ran()").count() > 3
    assert page.evaluate("() => typeof ran") == "undefined"
    assert page.locator("img").count() == 0
    assert reader.heard == []


@PAGES
def test_a_word_without_end_moves_no_page_sideways(reader: Reader, which: str, tmp_path: Path) -> None:
    page = reader.open(hostile_page(which, tmp_path, hostile.LONG), width=360, scheme="dark")
    assert page.get_by_text(hostile.LONG).count() > 3
    unfold(page)
    assert sideways(page) <= 0
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    assert sideways(page) <= 0
    inside = "table => table.getBoundingClientRect().right > innerWidth"
    assert not page.evaluate(f"() => [...document.querySelectorAll('table')].some({inside})")


@pytest.mark.parametrize("name", ["acted", "to_release", "standing", "not_green", "signal", "text", "title", "command"])
def test_every_kind_of_text_tries(name: str) -> None:
    """A field that nobody spoilt would make the test above say nothing about it."""

    def tries(value: object, key: str = "") -> bool:
        if isinstance(value, dict):
            return any(tries(item, inner) for inner, item in value.items())
        if isinstance(value, list):
            return any(tries(item, key) for item in value)
        return key == name and hostile.PAYLOAD in str(value)

    assert tries(hostile.record())


def test_names_and_lines_of_cases_do_not_run_on_pytest_s_own_page(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project").cases(HOSTILE_CASES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MADE_UP_KEY", SECRET)
        result = project.run()
    assert len(result.cases) == 3
    assert not result.broken
    page = reader.open((project.out / "checks.html").read_text(encoding="utf-8"))
    page.get_by_text("Show all details").click()
    assert page.get_by_text("onerror").count() > 0
    assert page.evaluate("() => typeof ran") == "undefined"
    assert page.locator("img[src=x]").count() == 0


def test_ten_thousand_cases_stay_usable(reader: Reader) -> None:
    """How long they take to render, to open and to filter is benchmarks/report's."""
    html = html_of(of_many(10_000))
    assert len(html) < 10_000_000
    page = reader.open(html)
    assert page.get_by_text("1.1.0 serves all traffic.").is_visible()
    assert shown(page) == 200
    page.locator(".filters input").fill("test_777")
    assert shown(page) == 11
    assert reader.heard == []


def test_even_an_unescaped_script_would_be_stopped(reader: Reader) -> None:
    html = html_of(samples.released())
    page = reader.open(
        html.replace("</main>", "<script>window.ran = 1</script><svg onload='window.ran = 2'></svg></main>")
    )
    assert page.evaluate("() => window.ran") is None
    assert any("Content Security Policy" in words for words in reader.heard)


@pytest.mark.parametrize("build", samples.ALL.values(), ids=samples.ALL.keys())
@pytest.mark.parametrize("width", [360, 1280, 2200])
def test_nothing_sticks_out_at_any_width(reader: Reader, build: Callable[[], DecisionRecord], width: int) -> None:
    page = reader.open(html_of(build()), width=width)
    assert sideways(page) <= 0


def test_dark_and_light_differ_and_paper_is_always_light(reader: Reader) -> None:
    html = html_of(samples.released())
    colour = "() => getComputedStyle(document.body).backgroundColor"
    light = reader.open(html).evaluate(colour)
    page = reader.open(html, scheme="dark")
    dark = page.evaluate(colour)
    page.emulate_media(media="print")
    assert len({light, dark, page.evaluate(colour)}) == 3
    assert page.evaluate(colour) == "rgb(255, 255, 255)"


def test_what_is_folded_away_is_unfolded_for_paper(reader: Reader) -> None:
    cases = tuple(
        Case(f"smoke/m.py::test_{n}", "Security", Severity.HIGH, CaseOutcome.FAILED, 0.01, details="why")
        for n in range(9)
    )
    record = replace(samples.released(), suites=(SuiteRecord("smoke", "front", 9, 1.0, cases),))
    page = reader.open(html_of(record))
    assert page.locator("details[open]").count() == 3
    page.pdf()
    assert page.locator("details[open]").count() == 9
