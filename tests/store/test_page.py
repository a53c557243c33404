"""The cashier's screen, in a real browser under the page's own strict policy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route

from tests.store.running import command, free_port, running, settings_for, wait_until

SECONDS = 10_000.0  # of a thousandth each, as the browser counts them


@pytest.fixture
def url(
    release: Callable[[str], Path], migrated: Callable[[str], str], cache_url: str, tmp_path: Path
) -> Iterator[str]:
    """A shop on a TCP port, for a browser opens no unix socket."""
    port = free_port()
    arguments = [*command("unused"), "--port", str(port)]
    arguments[arguments.index("--uds") : arguments.index("--uds") + 2] = []
    settings = settings_for(migrated("1.1.0"), cache_url, tmp_path)
    with running(arguments, cwd=release("1.1.0"), env=settings, stderr=subprocess.DEVNULL):

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, "the shop")
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    page.set_default_timeout(SECONDS)
    yield page
    page.close()


def test_a_cashier_sells_at_the_till(url: str, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    page.get_by_label("Cashier").fill("bob")
    page.get_by_label("PIN").fill("1357")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("bob at till-1").wait_for()

    search = page.get_by_label("Scan or search")
    for scanned in ("milk", "gin", "milk"):
        search.fill(scanned)
        search.press("Enter")
    assert page.locator("#total").inner_text() == "24.57"
    page.get_by_label("One Milk 1 l less").click()
    assert complaints == []

    page.get_by_role("button", name="Pay").click()
    page.get_by_role("alert").get_by_text("Ask for proof of age.").wait_for()
    page.get_by_label("Born on").fill("1980-02-29")
    page.get_by_label("Card", exact=True).check()
    page.get_by_label("Card number").fill("4000 0000 0000 0077")
    page.get_by_label("Note on the receipt").fill("Thank you")
    page.get_by_role("button", name="Pay").click()
    receipt = page.locator("#receipt")
    receipt.get_by_text("Total 23.28").wait_for()
    assert receipt.get_by_text("Card ending in 0077").is_visible()
    assert receipt.get_by_text("Thank you").is_visible()
    assert page.locator("#total").inner_text() == "0.00"
    # The browser itself notes the 403; nothing else may be wrong.
    assert [complaint for complaint in complaints if "403" not in complaint] == []

    page.reload()
    page.get_by_text("bob at till-1").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()


def test_the_till_is_shown_once_it_knows_the_items(url: str, page: Page) -> None:
    held: list[Route] = []
    page.goto(url)
    page.route("**/api/items", lambda route: held.append(route))  # noqa: PLW0108, it takes no builtin
    with page.expect_request("**/api/items"):
        page.get_by_label("Cashier").fill("bob")
        page.get_by_label("PIN").fill("1357")
        page.get_by_role("button", name="Sign in").click()
    assert page.get_by_label("Scan or search").is_hidden()  # a scan would find nothing, and say nothing
    held.pop().continue_()
    page.get_by_label("Scan or search").wait_for()
    page.get_by_label("Scan or search").fill("milk")
    page.get_by_label("Scan or search").press("Enter")
    assert page.locator("#total").inner_text() == "1.29"
