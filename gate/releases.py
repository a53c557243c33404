"""Releases: what is deployed, where it comes from, and whether it is still what its manifest says.

A release is a folder with a ``release.json``: format 1, name, version, digest, commit, files (path → SHA-256) and
optionally openapi. The digest is SHA-256 over one line ``path\\0sha256\\n`` per file, sorted by path, without the
manifest itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import semver

from gate.config import ContainerSettings, Environment
from gate.errors import OperationFailed, ShellError, UsageError
from gate.machine import bytecode, shell

MANIFEST = "release.json"


def parse_version(text: str, environment: str | None = None) -> semver.Version:
    """A SemVer version; ``v1.1.0`` and ``1.1.0`` are the same. Raises UsageError for anything else.

    ``environment`` is the one whose releases the error should tell how to list.
    """
    try:
        return semver.Version.parse(text.removeprefix("v"))
    except ValueError:
        step = f"python deploy_gate.py {environment} releases   lists them" if environment else None
        raise UsageError(f"{text!r} is not a version; write one such as v1.1.0", next_step=step) from None


@dataclass(frozen=True)
class Release:
    """One built release: ``digest`` names its content, ``folder`` holds it."""

    version: str
    digest: str
    commit: str | None
    folder: Path
    openapi: Path | None = None
    image: str | None = None
    """The id of the image that it is, where it is one: then ``digest`` is the image's."""


def read(folder: Path) -> Release:
    """The release in ``folder``. Raises OperationFailed when its manifest is missing or malformed."""
    manifest = manifest_of(folder)
    openapi = manifest.get("openapi")
    commit = manifest.get("commit")
    return Release(
        version=str(manifest["version"]),
        digest=str(manifest["digest"]),
        commit=str(commit) if commit else None,
        folder=folder,
        openapi=folder / str(openapi) if openapi else None,
        image=manifest.get("image"),
    )


def known(version: str, digest: str, commit: str | None, folder: Path) -> Release:
    """The release in ``folder``; by what was recorded of it where its manifest is damaged, gone or another's."""
    with suppress(OperationFailed):
        found = read(folder)
        if found.digest == digest:
            return found
    return Release(version, digest, commit, folder)


def faults(folder: Path) -> list[str]:
    """What is wrong with the release in ``folder``: files missing, changed or added, a digest that does not fit, a link
    behind which there is what no digest covers.

    Bytecode counts like any file, for Python runs it in place of its source; the gate's own starts leave none behind.
    Of a release that is an image only the image runs: bytecode and links beside its manifest are nobody's.
    """
    try:
        manifest = manifest_of(folder)
    except OperationFailed as fault:
        return [str(fault)]
    found = _differences(folder, manifest, but_caches="image" in manifest)
    if "image" not in manifest:
        found += _links(folder)
    return found


def damage(folder: Path) -> list[str]:
    """What must not be wrong with a release for a rollback to it, which served here once: files missing, changed or
    added.

    Links do not hold it up, and ``__pycache__`` does not: bytecode that the manifest does not list is removed where it
    can be.
    """
    try:
        manifest = manifest_of(folder)
    except OperationFailed as fault:
        return [str(fault)]
    for file in filter(bytecode.is_bytecode, folder.rglob("*.pyc*")):
        if file.relative_to(folder).as_posix() not in manifest["files"]:
            with suppress(OperationFailed):
                bytecode.forget_one(file)
    return _differences(folder, manifest, but_caches=True)


def _differences(folder: Path, manifest: dict[str, Any], *, but_caches: bool) -> list[str]:
    listed: dict[str, str] = manifest["files"]
    present = {
        file.relative_to(folder).as_posix(): file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / MANIFEST
    }
    added = (path for path in sorted(present.keys() - listed.keys()) if not (but_caches and bytecode.cached(path)))
    found = [f"{path}: listed in {MANIFEST} but missing" for path in sorted(listed.keys() - present.keys())]
    found += [f"{path}: not listed in {MANIFEST}" for path in added]
    found += [
        f"{path}: changed since it was built"
        for path in sorted(listed.keys() & present.keys())
        if hashlib.sha256(present[path].read_bytes()).hexdigest() != listed[path]
    ]
    if "image" not in manifest and manifest["digest"] != digest_of(listed):
        found.append(f"{MANIFEST}: the digest does not fit the files it lists")
    return found


def _links(folder: Path) -> list[str]:
    """Links in a folder that lead to no file, and not into it: what is there, or will be, is in no digest."""
    real = os.path.realpath(folder)
    return [
        f"{entry.relative_to(folder).as_posix()}: a link that leads out of the release to no file of it"
        for entry in sorted(folder.rglob("*"))
        if entry.is_symlink() and not entry.is_file() and not Path(os.path.realpath(entry)).is_relative_to(real)
    ]


def digest_of(files: dict[str, str]) -> str:
    lines = "".join(f"{path}\0{checksum}\n" for path, checksum in sorted(files.items()))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def manifest_of(folder: Path) -> dict[str, Any]:
    """What the manifest in a folder says. Raises OperationFailed when it is missing or malformed."""
    file = folder / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise OperationFailed(f"{file}: not a release manifest: {type(fault).__name__}") from None
    if not isinstance(manifest, dict):
        raise OperationFailed(f"{file}: not a release manifest: no table")
    missing = [key for key in ("version", "digest", "files") if key not in manifest]
    if missing or not isinstance(manifest["files"], dict):
        raise OperationFailed(f"{file}: not a release manifest: {', '.join(missing) or 'files'} missing or malformed")
    return manifest


def source(environment: Environment) -> Source:
    """Where an environment's releases come from."""
    if isinstance(environment.engine, ContainerSettings):
        from gate.containers.images import ImageSource

        return ImageSource(environment, environment.engine)
    return Source(environment)


class Source:
    """The folder an environment takes its releases from."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.folder = environment.root / environment.releases.source

    def versions(self) -> list[str]:
        """Versions present in the folder, oldest first."""
        found = [entry.name for entry in self.folder.glob("*") if (entry / MANIFEST).is_file()]
        return sorted((name for name in found if semver.Version.is_valid(name)), key=semver.Version.parse)

    def get(self, text: str) -> Release:
        """The release of a version, built first where the environment says how.

        Raises UsageError for a version that does not exist, OperationFailed for one that is malformed.
        """
        version = str(parse_version(text, self._environment.name))
        folder = self._at(version)
        if folder is None:
            self._build(version, self.folder / version)
            folder = self._at(version) or self.folder / version
        release = read(folder)
        if release.version != version:
            raise OperationFailed(f"{folder / MANIFEST}: says version {release.version}, expected {version}")
        return release

    def _at(self, version: str) -> Path | None:
        """Where the release of a version lies; None when it must be built first."""
        folder = self.folder / version
        return folder if (folder / MANIFEST).is_file() else None

    def _build_values(self, version: str, folder: Path) -> dict[str, str]:
        return {"python": sys.executable, "version": version, "folder": str(folder)}

    def _build_variables(self) -> dict[str, str] | None:
        """The whole environment of a build; None: the gate's own."""
        return None

    def _build(self, version: str, folder: Path) -> None:
        known = ", ".join(self.versions()) or "none yet"
        unknown = f"no release {version} in {self.folder}; there are: {known}"
        name = self._environment.name
        if self._environment.releases.build is None:
            raise UsageError(unknown, next_step=f"python deploy_gate.py {name} releases")
        values = self._build_values(version, folder)
        argv = [shell.fill(word, values) for word in self._environment.releases.build]
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            ended = shell.run(argv, cwd=self._environment.root, env=self._build_variables(), timeout=300, check=False)
        except ShellError as fault:
            raise UsageError(f"{unknown}, and building it failed: {fault}") from None
        if ended.code:
            told = (ended.err.strip() or ended.out.strip()).splitlines()
            told = told if len(told) <= 6 else [*told[:2], "…", *told[-4:]]  # why may stand first or last
            raise UsageError(
                f"{unknown}, and [releases] build ended with exit code {ended.code}:\n" + "\n".join(told),
                next_step=f"python deploy_gate.py {name} releases",
            )
