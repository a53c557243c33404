"""Short paths to deep folders."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.errors import OperationFailed
from gate.machine.sockets import LONGEST, forget, reachable


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of our own, with a short name; after pytest has made its own (tmp_path)."""
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    return folder


def test_a_short_folder_is_used_as_it_is() -> None:
    assert reachable(Path("/run/gate"), 30) == Path("/run/gate")


def test_a_deep_folder_gets_a_link_that_stays_the_same(deep: Path) -> None:
    link = reachable(deep, 40)
    assert link == reachable(deep, 40)
    assert link.resolve() == deep
    assert len(str(link)) + 1 + 40 <= LONGEST
    forget(deep)
    assert not link.is_symlink()


def test_a_link_somebody_else_made_is_not_followed(deep: Path, tmp_path: Path) -> None:
    link = reachable(deep, 40)
    link.unlink()
    link.symlink_to(tmp_path)
    with pytest.raises(OperationFailed, match="not ours"):
        reachable(deep, 40)


def test_links_to_folders_that_are_gone_are_removed(deep: Path, tmp_path: Path) -> None:
    old = reachable(deep, 40)
    deep.rmdir()
    other = tmp_path / ("other" * 30)
    other.mkdir()
    reachable(other, 40)
    assert not old.is_symlink()


def test_a_temporary_folder_that_is_too_deep_itself_is_said(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(OperationFailed, match="too deep"):
        reachable(deep, 40)
