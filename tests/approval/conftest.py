"""The project that every test of sign-offs begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.approval import logins
from tests.approval.rig import Rig, commit_by_ines, make


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("git")
    return root, commit_by_ines(root)


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started the job that runs these tests deploys nothing here."""
    for name in logins.SAID:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def rig(tmp_path: Path, repository: tuple[Path, str]) -> Rig:
    """1.1.0 is there, made from a commit by Ines and Otto; nobody has signed for it."""
    root = tmp_path / "project"
    made = make(root, repository[1])
    (root / ".git").symlink_to(repository[0] / ".git")
    return made
