"""Releases on disk: versions, manifests, digests, and what is wrong with a folder."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gate import environments, releases
from gate.errors import OperationFailed, UsageError
from gate.releases import Source
from tests.unit import forging
from tests.unit.test_environments import BASE, write

FILES = {"app/main.py": "print()\n", "openapi.json": "{}"}


def build(folder: Path, **changes: Any) -> Path:
    """A whole release in a folder."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    manifest = {
        "format": 1,
        "name": "store",
        "version": folder.name,
        "digest": releases.digest_of(files),
        "commit": "c0ffee",
        "files": files,
        "openapi": "openapi.json",
        **changes,
    }
    (folder / "release.json").write_text(
        json.dumps({key: value for key, value in manifest.items() if value is not None})
    )
    return folder


@pytest.mark.parametrize("text", ["1.1.0", "v1.1.0", "1.1.0+slow-checkout", "2.0.0-rc.1"])
def test_versions(text: str) -> None:
    assert str(releases.parse_version(text)) == text.removeprefix("v")


@pytest.mark.parametrize("text", ["1.1", "latest", "", "v1; rm -rf /", "../1.0.0", "1.0.0/../2.0.0", "01.0.0"])
def test_what_is_no_version_is_refused_before_anything_uses_it(text: str) -> None:
    with pytest.raises(UsageError, match="is not a version; write one such as"):
        releases.parse_version(text)


def test_read(tmp_path: Path) -> None:
    release = releases.read(build(tmp_path / "1.0.0"))
    assert (release.version, release.commit, release.openapi) == ("1.0.0", "c0ffee", tmp_path / "1.0.0/openapi.json")
    bare = releases.read(build(tmp_path / "1.1.0", commit=None, openapi=None))
    assert (bare.commit, bare.openapi) == (None, None)


def add(folder: Path) -> None:
    (folder / "extra.py").write_text("")


def remove(folder: Path) -> None:
    (folder / "openapi.json").unlink()


def change(folder: Path) -> None:
    (folder / "app/main.py").write_text("print(1)\n")


def forge(folder: Path) -> None:
    build(folder, digest="sha256:0")


def lose(folder: Path) -> None:
    (folder / "release.json").unlink()


def garble(folder: Path) -> None:
    (folder / "release.json").write_text("{")


def empty(folder: Path) -> None:
    (folder / "release.json").write_text('{"version": "1.0.0"}')


def flat(folder: Path) -> None:
    (folder / "release.json").write_text("[]")


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (add, "extra.py: not listed in release.json"),
        (remove, "openapi.json: listed in release.json but missing"),
        (change, "app/main.py: changed since it was built"),
        (forge, "release.json: the digest does not fit the files it lists"),
        (lose, "not a release manifest: FileNotFoundError"),
        (garble, "not a release manifest: JSONDecodeError"),
        (empty, "not a release manifest: digest, files missing or malformed"),
        (flat, "not a release manifest: no table"),
    ],
)
def test_faults(tmp_path: Path, harm: Callable[[Path], None], fault: str) -> None:
    folder = build(tmp_path / "1.0.0")
    assert releases.faults(folder) == []
    harm(folder)
    (found,) = releases.faults(folder)
    assert fault in found


def said(folder: Path) -> str:
    """What the application says when it is imported."""
    argv = [sys.executable, "-B", "-c", "import main"]
    return subprocess.run(argv, cwd=folder / "app", capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.mark.parametrize("how", [forging.BY_TIME, forging.UNCHECKED])
def test_planted_bytecode_runs_and_is_a_fault(tmp_path: Path, how: int) -> None:
    folder = build(tmp_path / "1.0.0")
    planted = forging.plant(folder / "app/main.py", "print('planted')", how)
    assert said(folder) == "planted\n", "Python runs it in place of the source, which did not change"
    assert releases.faults(folder) == [f"app/__pycache__/{planted.name}: not listed in release.json"]
    assert releases.damage(folder) == [], "it does not hold up a rollback"
    assert not planted.exists()
    assert said(folder) == "\n"


def test_bytecode_that_is_part_of_a_release_is_in_its_digest(tmp_path: Path) -> None:
    folder = build(tmp_path / "1.0.0")
    built = forging.plant(folder / "app/main.py", "print()")
    files = {**FILES, built.relative_to(folder).as_posix(): ""}
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    build(folder, files=sums, digest=releases.digest_of(sums))
    assert releases.faults(folder) == releases.damage(folder) == []
    assert built.exists()
    forging.plant(folder / "app/main.py", "print('planted')")
    (found,) = releases.damage(folder)
    assert "changed since it was built" in found


def test_what_lies_behind_a_link_is_in_no_digest(tmp_path: Path) -> None:
    folder = build(tmp_path / "1.0.0")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "code.py").write_text("")
    (folder / "lib").symlink_to("app")
    assert releases.faults(folder) == [], "one that stays inside leads to what is listed"
    for name, target in {"outside": "../elsewhere", "to come": "../later", "round": "/proc/self/cwd"}.items():
        (folder / name).symlink_to(target)
    assert releases.faults(folder) == [
        f"{name}: a link that leads out of the release to no file of it" for name in ("outside", "round", "to come")
    ]
    assert releases.damage(folder) == [], "it was kept so, and a rollback is not held up by it"
    build(folder, image="sha256:1")
    assert releases.faults(folder) == [], "of an image nothing runs from here"


def test_what_lies_in_a_cache_holds_up_no_rollback(tmp_path: Path) -> None:
    """Packages keep more there than bytecode, and another account's cannot be removed."""
    folder = build(tmp_path / "1.0.0")
    cache = folder / "app" / "__pycache__"
    forging.plant(folder / "app/main.py", "print('planted')")
    (cache / "main.f-1.py311.nbi").write_bytes(b"numba")
    assert len(releases.faults(folder)) == 2
    assert releases.damage(folder) == []
    assert [file.name for file in cache.iterdir()] == ["main.f-1.py311.nbi"]
    forging.plant(folder / "app/main.py", "print('planted')")
    build(folder, image="sha256:1")
    assert releases.faults(folder) == [], "of an image that an earlier gate unpacked"
    (folder / "app/more.py").write_text("")
    assert releases.faults(folder) == releases.damage(folder) == ["app/more.py: not listed in release.json"]


def test_another_file_of_the_manifests_name_counts(tmp_path: Path) -> None:
    folder = build(tmp_path / "1.0.0")
    (folder / "app/release.json").write_text("{}")
    assert releases.faults(folder) == ["app/release.json: not listed in release.json"]


def test_digest_does_not_depend_on_the_order_of_files() -> None:
    assert releases.digest_of({"a": "1", "b": "2"}) == releases.digest_of({"b": "2", "a": "1"})
    assert releases.digest_of({"a": "1", "b": "2"}) != releases.digest_of({"a": "2", "b": "1"})


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], Source]:
    def make(more: str = "") -> Source:
        write(tmp_path, "here.toml", BASE.replace('source = "releases"', f'source = "releases"{more}'))
        return Source(environments.load("here", tmp_path, {}))

    return make


def test_source_lists_versions_oldest_first(source: Callable[[str], Source]) -> None:
    found = source("")
    assert found.versions() == []
    for version in ("1.10.0", "1.2.0", "1.2.0-rc.1"):
        build(found.folder / version)
    (found.folder / "not-a-version").mkdir()
    assert found.versions() == ["1.2.0-rc.1", "1.2.0", "1.10.0"]
    assert found.get("v1.2.0").version == "1.2.0"


def test_a_version_that_does_not_exist(source: Callable[[str], Source]) -> None:
    found = source("")
    build(found.folder / "1.0.0")
    with pytest.raises(UsageError, match=r"no release 9\.0\.0 in .*; there are: 1\.0\.0"):
        found.get("9.0.0")


def test_a_folder_that_says_another_version(source: Callable[[str], Source]) -> None:
    found = source("")
    build(found.folder / "1.0.0", version="1.0.1")
    with pytest.raises(OperationFailed, match=r"says version 1\.0\.1, expected 1\.0\.0"):
        found.get("1.0.0")


BUILD = """
import json, pathlib, sys
version, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir(parents=True)
(folder / "release.json").write_text(json.dumps({"version": version, "digest": "sha256:0", "files": {}}))
"""


def test_a_missing_version_is_built(source: Callable[[str], Source]) -> None:
    found = source(', build = ["{python}", "build.py", "{version}", "{folder}"]')
    (found.folder.parent / "build.py").write_text(BUILD)
    assert found.get("3.0.0+x").version == "3.0.0+x"


def test_a_build_that_fails_says_why(source: Callable[[str], Source]) -> None:
    found = source(', build = ["{python}", "-c", "import sys; sys.exit(\'no such defect\')"]')
    with pytest.raises(UsageError, match=r"no release 3\.0\.0 .* exit code 1:\nno such defect"):
        found.get("3.0.0")
