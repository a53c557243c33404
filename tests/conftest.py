"""Property tests are the same on every machine, busy or not: fixed examples, no time limit for one, nothing kept."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def _commit(record_testsuite_property: Callable[[str, object], None]) -> None:
    """Names the commit in the JUnit XML, so that the checks can tell whether it is the release's."""
    if commit := os.environ.get("GITHUB_SHA"):
        record_testsuite_property("commit", commit)
