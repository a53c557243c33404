"""Builds a release of the shop into a folder: the source in `app/`, with changes from `changes/` applied on top.

    python example/store/build.py 1.1.0 --into FOLDER
    python example/store/build.py 1.1.0+slow-checkout.logs-errors --into FOLDER
    python example/store/build.py --list

The same version always gives the same digest. Exit codes: 0 built (or there already), 2 cannot be built like this,
3 there is no such version.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.resolve()
CHANGES = HERE / "changes"
FIRST = "1.0.0"
# Python leaves these behind when a release runs; they are no part of it.
NOT_PART = {"__pycache__"}
OPENAPI_SECONDS = 60


class BuildError(Exception):
    """The release cannot be built; the message says which file or change is at fault."""


class UnknownVersionError(BuildError):
    """Nothing of that name can be built."""


@dataclass(frozen=True)
class Edit:
    file: str
    find: str
    replace: str


@dataclass(frozen=True)
class Change:
    """One difference from the releases named in `on`: exact-text edits, and files to add."""

    name: str
    kind: str
    description: str
    on: tuple[str, ...]
    edits: tuple[Edit, ...]
    add: tuple[str, ...]


def read_changes(folder: Path = CHANGES) -> dict[str, Change]:
    """All changes by name. Raises BuildError for one that is not well-formed."""
    changes = {}
    for path in sorted(folder.glob("*/change.toml")):
        content: dict[str, Any] = tomllib.loads(path.read_text())
        try:
            change = Change(
                name=path.parent.name,
                kind=content.pop("kind"),
                description=content.pop("description"),
                on=tuple(content.pop("on")),
                edits=tuple(Edit(**edit) for edit in content.pop("edits", [])),
                add=tuple(content.pop("add", [])),
            )
        except (KeyError, TypeError) as error:
            raise BuildError(f"{path}: {error}") from None
        if content or change.kind not in {"release", "defect"}:
            raise BuildError(f"{path}: unknown keys {sorted(content)} or kind {change.kind!r}")
        changes[change.name] = change
    return changes


def buildable(changes: dict[str, Change]) -> dict[str, str]:
    """Every version with at most one defect, and what it is."""
    releases = {FIRST: "The shop as it opened."}
    releases |= {name: change.description for name, change in changes.items() if change.kind == "release"}
    defects = [change for change in changes.values() if change.kind == "defect"]
    return releases | {
        f"{base}+{defect.name}": defect.description for base in releases for defect in defects if base in defect.on
    }


def plan(version: str, changes: dict[str, Change]) -> list[Change]:
    """The changes that lead from the first release to `version`, in order. Raises UnknownVersionError."""
    base, _, suffix = version.partition("+")
    release = changes.get(base)
    if base != FIRST and (release is None or release.kind != "release"):
        raise UnknownVersionError(f"there is no release {base}")
    steps: list[Change] = []
    while release is not None:
        steps.insert(0, release)
        release = changes.get(release.on[0])
    for name in suffix.split(".") if suffix else []:
        defect = changes.get(name)
        if defect is None or defect.kind != "defect" or base not in defect.on or defect in steps:
            raise UnknownVersionError(f"there is no defect {name!r} to put on {base}")
        steps.append(defect)
    return steps


def assemble(version: str, steps: list[Change], folder: Path, changes: Path = CHANGES) -> None:
    """Writes the release's own files into `folder`: everything but what is made from them.

    Raises BuildError when an edit's text does not occur exactly once, or a file to add is there already.
    """
    shutil.copytree(HERE / "app", folder, ignore=shutil.ignore_patterns(*NOT_PART))
    shutil.copyfile(HERE / "invariants.sql", folder / "invariants.sql")
    (folder / "CHANGELOG.md").write_text(changelog_until(version.partition("+")[0]))
    for change in steps:
        for edit in change.edits:
            _apply(edit, folder, change.name)
        for name in change.add:
            if (folder / name).exists():
                raise BuildError(f"{change.name}: {name} is to be added and is there already")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(changes / change.name / name, folder / name)
    (folder / "store" / "_version.py").write_text(
        f'"""What this code is. Written by `build.py`."""\n\n'
        f'VERSION = "{version}"\nSCHEMA_HEAD = "{schema_head(folder / "migrations" / "versions")}"\n'
    )


def _apply(edit: Edit, folder: Path, name: str) -> None:
    path = folder / edit.file
    text = path.read_text() if path.is_file() else ""
    if (times := text.count(edit.find)) != 1:
        raise BuildError(f"{name}: the text to replace occurs {times} times in {edit.file}, not once:\n{edit.find}")
    path.write_text(text.replace(edit.find, edit.replace))


def schema_head(versions: Path) -> str:
    """The migration no other one builds on. Raises BuildError when two claim one place in the line."""
    revisions: list[str] = []
    built_on: list[str | None] = []
    for path in versions.glob("*.py"):
        for statement in ast.parse(path.read_text()).body:
            if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name):
                if target.id == "revision":
                    revisions.append(ast.literal_eval(statement.value))
                elif target.id == "down_revision":
                    built_on.append(ast.literal_eval(statement.value))
    heads = [revision for revision in revisions if revision not in built_on]
    if len(heads) != 1:
        raise BuildError(f"the migrations have {len(heads)} heads, not one: {', '.join(sorted(heads))}")
    return heads[0]


def changelog_until(release: str) -> str:
    """The changelog as it read when `release` came out: later entries, which stand above it, left away."""
    head, *entries = (HERE / "CHANGELOG.md").read_text().split("\n## ")
    titles = [entry.split()[0] for entry in entries]
    if release not in titles:
        raise BuildError(f"CHANGELOG.md has no entry for {release}")
    return "\n## ".join([head, *entries[titles.index(release) :]])


def openapi(folder: Path) -> str:
    """The API's description, asked of the code in `folder` itself. Raises BuildError when the code does not load."""
    code = "import json; from store.api import api; print(json.dumps(api.openapi(), indent=1, sort_keys=True))"
    asked = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=folder, capture_output=True, text=True, timeout=OPENAPI_SECONDS
    )
    if asked.returncode:
        raise BuildError(f"the release does not load:\n{asked.stderr}")
    return asked.stdout


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a release, by its path; the manifest itself left out."""
    paths = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and not NOT_PART.intersection(path.relative_to(folder).parts)
    ]
    return {
        path.as_posix(): hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for path in sorted(paths, key=Path.as_posix)
        if path.as_posix() != "release.json"
    }


def digest(files: dict[str, str]) -> str:
    """One hash over all files: SHA-256 of the sorted lines `path NUL hash`."""
    lines = "".join(f"{path}\0{sha256}\n" for path, sha256 in sorted(files.items()))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def build(version: str, into: Path, commit: str | None = None, changes: Path = CHANGES, author: str = "") -> str:
    """Builds `version` into the folder `into`, which appears whole or not at all; returns the digest.

    A folder that holds this very release already is left as it is. Raises BuildError, also when it holds anything else.
    """
    steps = plan(version, read_changes(changes))
    into = into.resolve()
    into.parent.mkdir(parents=True, exist_ok=True)
    fresh = into.with_name(f".{into.name}.{os.getpid()}")
    try:
        assemble(version, steps, fresh, changes)
        (fresh / "openapi.json").write_text(openapi(fresh))
        files = hash_files(fresh)
        manifest = {
            "format": 1,
            "name": "store",
            "version": version,
            "digest": digest(files),
            "commit": commit,
            "openapi": "openapi.json",
            "changelog": "CHANGELOG.md",
            "files": files,
        } | ({"author": author} if author else {})
        (fresh / "release.json").write_text(json.dumps(manifest, indent=2) + "\n")
        try:
            fresh.rename(into)
        except OSError:  # something is there
            if not into.is_dir() or digest(hash_files(into)) != manifest["digest"]:
                raise BuildError(f"{into} is there and holds something else than {version}: remove it first") from None
        return digest(files)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Builds a release of the shop.")
    parser.add_argument("version", nargs="?", help="1.1.0, or a release with defects: 1.1.0+slow-checkout.logs-errors")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="the release's folder, made anew")
    parser.add_argument("--commit", help="the commit to name in release.json; left out: COMMIT")
    parser.add_argument("--author", help="who wrote it, several with ; between; left out: COMMIT_AUTHORS")
    parser.add_argument("--list", action="store_true", help="print what can be built")
    parser.add_argument("--json", action="store_true", help="with --list: as JSON, with descriptions")
    options = parser.parse_args(arguments)
    if options.list:
        versions = buildable(read_changes())
        print(json.dumps(versions, indent=2) if options.json else "\n".join(versions))
        return 0
    if options.version is None or options.into is None:
        parser.error("give a version and --into FOLDER, or --list")
    commit, author = (
        os.environ.get(name, "") if given is None else given
        for name, given in (("COMMIT", options.commit), ("COMMIT_AUTHORS", options.author))
    )
    try:
        print(build(options.version.removeprefix("v"), options.into, commit or None, author=author))
    except UnknownVersionError as error:
        known = "\n  ".join(buildable(read_changes()))
        print(f"error: {error}. What can be built (defects joined with '.'):\n  {known}", file=sys.stderr)
        return 3
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
