"""The page people work with. An application without one deletes this file."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

pytestmark = pytest.mark.category("Core Business Flows")

PAGE = "/"
# What each kind of asset must be served as. An application that answers any path with its page is caught by this.
TYPES = {
    "script": ("text/javascript", "application/javascript"),
    "stylesheet": ("text/css",),
    "icon": ("image/",),
    "img": ("image/",),
}


class Assets(HTMLParser):
    """Collects (kind, address) of everything a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("script", "img") and values.get("src"):
            self.found.append((tag, values["src"]))
        if tag == "link" and values.get("href"):
            kinds = values.get("rel", "").split()
            self.found += [(kind, values["href"]) for kind in ("stylesheet", "icon") if kind in kinds]


def test_page_and_assets(app: Any) -> None:
    """The page is served, and every script, style and image it names"""
    page = app.get(PAGE)
    assert page.status_code == 200, f"GET {PAGE} answers {page.status_code}, expected 200"
    assert page.headers.get("Content-Type", "").startswith("text/html"), f"GET {PAGE} is no HTML page"
    assets = Assets()
    assets.feed(page.text)
    for kind, address in assets.found:
        if urlsplit(address).scheme == "data" or urlsplit(address).netloc:
            continue  # inside the page, or somebody else's
        path = urljoin(PAGE, address)
        answer = app.get(path)
        assert answer.status_code == 200, f"GET {path} ({kind}) answers {answer.status_code}, expected 200"
        given = answer.headers.get("Content-Type", "")
        assert given.startswith(TYPES[kind]), f"GET {path} ({kind}) is served as {given!r}, expected {TYPES[kind][0]}"
        assert answer.content, f"GET {path} ({kind}) is empty"


def test_page_in_a_browser(browser: Any, app: Any, warn: Any) -> None:
    """A browser shows the page without an error"""
    if browser is None:
        warn("no headless browser is installed, so nobody looked at the page")
        return
    errors: list[str] = []

    def with_endpoint_headers(route: Any) -> None:
        # They hold a token: for the application only, not for others that the page may load from.
        ours = route.request.url.startswith(f"{app.url}/")
        route.continue_(headers={**route.request.headers, **(app.endpoint_headers if ours else {})})

    page = browser.new_page()
    page.route("**/*", with_endpoint_headers)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda got: errors.append(f"{got.status} for {got.url}") if got.status >= 400 else None)
    page.goto(f"{app.url}{PAGE}", wait_until="load", timeout=10_000)
    shown = page.inner_text("body")
    page.close()
    assert not errors, f"{len(errors)} errors in the browser, the first: {errors[0]}"
    assert shown.strip(), f"the page at {PAGE} shows nothing"
