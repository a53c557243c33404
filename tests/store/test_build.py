"""Building releases: the same each time, whole or not at all, and never with an edit that missed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from example.store import build

SCRIPT = Path(build.__file__)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_release_is_the_same_each_time(tmp_path: Path, release: Callable[[str], Path]) -> None:
    again = run("v1.1.0", "--into", tmp_path / "again", "--commit", "0a1b2c3", "--author", "Ines <i@x>; Otto")
    assert again.returncode == 0, again.stderr
    first = json.loads((release("1.1.0") / "release.json").read_text())
    second = json.loads((tmp_path / "again" / "release.json").read_text())
    assert again.stdout.strip() == second["digest"]
    assert (first.pop("commit"), second.pop("commit")) == (None, "0a1b2c3")
    assert second.pop("author") == "Ines <i@x>; Otto"
    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_the_manifest_names_every_file(release: Callable[[str], Path]) -> None:
    folder = release("1.1.0")
    manifest = json.loads((folder / "release.json").read_text())
    assert (manifest["format"], manifest["name"], manifest["version"]) == (1, "store", "1.1.0")
    assert manifest["files"] == build.hash_files(folder)
    assert manifest["digest"] == build.digest(manifest["files"])
    assert {"openapi.json", "CHANGELOG.md", "invariants.sql", "alembic.ini", "store/main.py"} <= manifest[
        "files"
    ].keys()


def test_a_folder_with_the_same_release_is_left_as_it_is(tmp_path: Path, release: Callable[[str], Path]) -> None:
    folder = tmp_path / "release"
    shutil.copytree(release("1.0.0"), folder)
    (folder / "store" / "__pycache__").mkdir()
    (folder / "store" / "__pycache__" / "main.pyc").write_bytes(b"left behind by running it")
    before = (folder / "release.json").stat().st_mtime_ns
    build.build("1.0.0", folder)
    assert (folder / "release.json").stat().st_mtime_ns == before


def test_a_folder_with_anything_else_is_refused(tmp_path: Path, release: Callable[[str], Path]) -> None:
    folder = tmp_path / "release"
    shutil.copytree(release("1.0.0"), folder)
    (folder / "store" / "age.py").write_text("# anyone may buy anything")
    refused = run("1.0.0", "--into", folder)
    assert refused.returncode == 2
    assert "remove it first" in refused.stderr
    assert (folder / "store" / "age.py").read_text() == "# anyone may buy anything"


@pytest.mark.parametrize(
    "version",
    ["2.0.0", "1.1.0+no-such-defect", "1.1.0+1.1.0", "1.0.0+migration-breaks-old", "", "../1.0.0", "slow-checkout"],
)
def test_an_unknown_version_is_said_to_be_one(tmp_path: Path, version: str) -> None:
    unknown = run(version, "--into", tmp_path / "release")
    assert unknown.returncode == 3
    assert "1.1.0+slow-checkout" in unknown.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_list_names_all_that_can_be_built() -> None:
    plain, described = run("--list"), run("--list", "--json")
    assert plain.stdout.split() == list(json.loads(described.stdout))
    assert {"1.0.0", "1.1.0", "1.1.0+migration-breaks-old"} <= set(plain.stdout.split())


@pytest.mark.parametrize("version", build.buildable(build.read_changes()))
def test_every_change_still_fits(tmp_path: Path, version: str) -> None:
    folder = tmp_path / "release"
    build.assemble(version, build.plan(version, build.read_changes()), folder)
    for path in folder.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")


def test_two_defects_in_one_release(tmp_path: Path, release: Callable[[str], Path]) -> None:
    version = "1.1.0+slow-checkout.logs-errors"
    build.assemble(version, build.plan(version, build.read_changes()), tmp_path / "both")
    checkout = (tmp_path / "both" / "store" / "checkout.py").read_text()
    assert "asyncio.sleep(4)" in checkout
    assert "loyalty points not booked" in checkout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('edits = [{ file = "store/age.py", find = "MINIMUM_AGE", replace = "" }]', "times in store/age.py, not once"),
        ('edits = [{ file = "store/age.py", find = "no such text", replace = "" }]', "occurs 0 times"),
        ('edits = [{ file = "store/nowhere.py", find = "text", replace = "" }]', "occurs 0 times in store/nowhere.py"),
        ('edits = [{ file = "store/age.py", find = "text" }]', "replace"),
        ('add = ["store/age.py"]', "is there already"),
        ("surprise = true", "unknown keys ['surprise']"),
    ],
)
def test_a_change_that_misses_fails_the_build(tmp_path: Path, change: str, message: str) -> None:
    changes = tmp_path / "changes"
    (changes / "bad" / "store").mkdir(parents=True)
    (changes / "bad" / "store" / "age.py").write_text("")
    text = f'kind = "defect"\ndescription = "Misses."\non = ["1.0.0"]\n{change}\n'
    (changes / "bad" / "change.toml").write_text(text)
    with pytest.raises(build.BuildError, match=r"bad.*") as error:
        build.build("1.0.0+bad", tmp_path / "release", changes=changes)
    assert message in str(error.value)
    assert not (tmp_path / "release").exists()


def test_a_changelog_ends_with_its_release(release: Callable[[str], Path]) -> None:
    assert "## 1.1.0" not in (release("1.0.0") / "CHANGELOG.md").read_text()
    assert "## 1.1.0" in (release("1.1.0") / "CHANGELOG.md").read_text()


def test_two_heads_of_the_migrations_fail_the_build(tmp_path: Path) -> None:
    version = "1.1.0+migration-has-no-downgrade.migration-breaks-old"
    with pytest.raises(build.BuildError, match="2 heads, not one: 0006, 0006"):
        build.build(version, tmp_path / "release")
