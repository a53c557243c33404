"""A project of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.suite.project import SECRET, Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MADE_UP_KEY", SECRET)  # the child's environment file names it
    return Project(tmp_path)
