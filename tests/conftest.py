"""What tests of every part share: the browser, and how property tests are run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Property tests are the same on every machine, busy or not: fixed examples, no time limit for one, nothing kept.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def _commit(record_testsuite_property: Callable[[str, object], None]) -> None:
    """Names the commit in the JUnit XML, so that the checks can tell whether it is the release's."""
    if commit := os.environ.get("GITHUB_SHA"):
        record_testsuite_property("commit", commit)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium; a laptop without one skips, a CI without one fails. One for all: Playwright runs once in a process."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing = "no chromium on this machine: apt-get install chromium"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()
