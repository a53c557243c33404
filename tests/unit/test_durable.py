"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gate.machine import durable


def test_the_old_one_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    durable.write(file, "old")
    read = file.open()  # whoever reads goes on reading the old one
    durable.write(file, "new ü")
    assert (read.read(), file.read_text(encoding="utf-8")) == ("old", "new ü")
    read.close()
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.mkdir()  # no file takes the place of a folder
    (file / "kept").write_text("kept")
    with pytest.raises(OSError, match="facts"):
        durable.write(file, "new")
    assert [found.name for found in tmp_path.iterdir()] == ["facts.json"]
    assert (file / "kept").read_text() == "kept"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_who_may_use_it_is_what_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.with_name("facts.json.new").write_text("half of one, by a writer that was killed")
    before = os.umask(0o077)
    try:
        durable.write(file, b"x", mode=0o644)
        shown = stat.S_IMODE(file.stat().st_mode)
        durable.write(file, b"x", mode=0o600)
    finally:
        os.umask(before)
    assert (shown, stat.S_IMODE(file.stat().st_mode)) == (0o644, 0o600)


def test_it_is_written_under_another_name_first_where_that_is_asked_for(tmp_path: Path) -> None:
    bundle, beside = tmp_path / "bundle", tmp_path / "bundle.new"
    bundle.mkdir()
    beside.mkdir()
    with pytest.raises(OSError, match=r"bundle\.new"):
        durable.write(bundle / "manifest", b"x", by=beside)
    durable.write(bundle / "manifest", b"x", by=tmp_path / "other")
    assert [found.name for found in bundle.iterdir()] == ["manifest"]
