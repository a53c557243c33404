"""What tests of every part share: the browser, and how property tests are run."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.groups import ByEngine

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

# Property tests are the same on every machine, busy or not: fixed examples, no time limit for one, nothing kept.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


_SLOWEST = ("everywhere", "e2e", "team", "swarm", "hosts", "containers", "commands", "checks", "rehearsal", "database")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="also what there is no time for in every run (marked whole)")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With ``--dist loadgroup``, what shares a project or nodes runs one after the other (``ByEngine``)."""
    return ByEngine(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Folders with slow files come first: side by side, one of them begun last would keep the rest waiting."""
    if not config.getoption("whole"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("whole")])
        items[:] = [item for item in items if not item.get_closest_marker("whole")]
    items.sort(key=lambda item: next((n for n, name in enumerate(_SLOWEST) if name in item.path.parts), len(_SLOWEST)))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Names the commit in the JUnit XML, so that the checks can tell whether it is the release's.

    A program started with nohup ignores SIGHUP and so would every gate started here, whatever its test sends it.
    """
    from _pytest.junitxml import xml_key  # the public fixture reaches nothing where tests run side by side

    written, commit = session.config.stash.get(xml_key, None), os.environ.get("GITHUB_SHA")
    if written is not None and commit:
        written.add_global_property("commit", commit)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
