"""Sites for the end-to-end tests, shared by all of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.sites import CHECKS_OF_DEFECTS, Site, few_cases, folders, make_site


@pytest.fixture(scope="session")
def empty_site() -> Iterator[Site]:
    """A project whose servers run and where nothing was ever deployed."""
    # Not pytest's own folder: unix sockets need a short path.
    folder = Path(tempfile.mkdtemp(prefix="gate-e2e-"))
    site = make_site(folder)
    try:
        up = site.gate("up")
        assert up.code == 0, up.told
        yield site
    finally:
        site.gate("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def site(empty_site: Site) -> Site:
    """The project with 1.0.0, then 1.1.0 released: what every defect is tried on. It has the checks that see some."""
    folders(empty_site, '["checks"]', CHECKS_OF_DEFECTS)
    for version in ("1.0.0", "1.1.0"):
        ran = empty_site.deploy(version)
        assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), f"{ran.reasons}\n{ran.told}"
    return empty_site


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """After a test that failed its site is put in order, so that the next ones do not fail for it as well."""
    report = yield
    if report.when == "call" and report.failed:
        arguments = getattr(item, "funcargs", {})
        for site in [arguments[name] for name in ("site", "brief_site") if name in arguments]:
            site.put_in_order()
            if site.serving() != "1.1.0":
                site.deploy("1.1.0")
    return report


@pytest.fixture(scope="session")
def brief_site() -> Iterator[Site]:
    """Another such project, with few cases: for tests of what interrupts a deployment, not of what stops it."""
    folder = Path(tempfile.mkdtemp(prefix="gate-brief-"))
    site = make_site(folder)
    few_cases(site)
    try:
        assert site.gate("up").code == 0
        for version in ("1.0.0", "1.1.0"):
            ran = site.deploy(version)
            assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        yield site
    finally:
        site.gate("down")
        shutil.rmtree(folder, ignore_errors=True)
