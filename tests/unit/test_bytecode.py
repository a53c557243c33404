"""Bytecode beside its sources: found, told apart, removed; and the files of a place behind its links."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.errors import OperationFailed
from gate.machine import bytecode
from tests.unit import forging


def test_only_what_python_would_make_anew_is_bytecode(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    assert [
        name for name in ("x.cpython-311.pyc", "x.pyc.1234", "x.py", "x.pyc.py") if bytecode.is_bytecode(cache / name)
    ] == [
        "x.cpython-311.pyc",
        "x.pyc.1234",
    ]
    assert not bytecode.is_bytecode(tmp_path / "x.pyc"), "without a source it is the program"


def test_files_behind_links_are_found_and_no_circle_is_run_round(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "code.py").touch()
    (inside / "more").symlink_to(outside)
    (outside / "back").symlink_to(inside)
    (inside / "gone").symlink_to(tmp_path / "nowhere")
    assert bytecode.files(inside) == [inside / "code.py", inside / "more" / "code.py"]
    assert bytecode.files(inside / "code.py") == [inside / "code.py"]
    assert bytecode.files(tmp_path / "nowhere") == []


def test_it_is_removed_beside_a_file_and_below_a_folder_and_nothing_else_is(tmp_path: Path) -> None:
    sources = [tmp_path / "conftest.py", tmp_path / "checks" / "test_x.py", tmp_path / "other.py"]
    (tmp_path / "checks").mkdir()
    for source in sources:
        source.touch()
    planted = [forging.plant(source, "pass") for source in sources]
    bytecode.forget([tmp_path / "conftest.py", tmp_path / "checks", tmp_path / "nowhere"])
    assert [file.exists() for file in (*sources, *planted)] == [True, True, True, False, False, True]


def test_of_a_folder_that_is_a_link_the_link_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "theirs").mkdir()
    theirs = tmp_path / "theirs" / "x.cpython-311.pyc"
    theirs.touch()
    (tmp_path / "checks" / "__pycache__").symlink_to(tmp_path / "theirs")
    bytecode.forget([tmp_path / "checks"])
    assert not (tmp_path / "checks" / "__pycache__").exists()
    assert theirs.exists()


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    stays = tmp_path / "__pycache__" / "x.pyc"
    stays.mkdir(parents=True)  # nothing that can be unlinked
    with pytest.raises(OperationFailed, match="in place of its source, and it cannot be removed") as fault:
        bytecode.forget_one(stays)
    assert fault.value.next_step == f"remove {stays}"
