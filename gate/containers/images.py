"""Releases as images: a repository with one tag a version. What runs is named by digest, never by tag.

The release's folder in the image is unpacked once beside the others, for what reads files: the checks, the migrations'
linter, the API's description. The manifest beside it names the image; a release is whole while both are there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import semver

from gate.config import ContainerSettings, DockerSettings, Environment, SwarmSettings
from gate.containers.client import Client, asked, client, found, url, within
from gate.containers.options import STATE, TOOL
from gate.errors import EngineError, OperationFailed, UsageError
from gate.releases import MANIFEST, Release, Source, manifest_of, read

_PULL = 1800.0  # seconds
_COPY = 300.0  # seconds
_COMMIT = "org.opencontainers.image.revision"


def tag_of(version: str) -> str:
    """The tag of a version: a tag may not have the plus sign of build metadata."""
    return version.replace("+", "_")


def familiar(repository: str) -> str:
    """A repository as Docker itself writes it: without the registry that is meant where none is named."""
    return repository.removeprefix("docker.io/").removeprefix("library/")


def version_of(tag: str) -> str:
    """The version of a tag."""
    return tag.replace("_", "+")


class ImageSource(Source):
    """The image repository an environment takes its releases from."""

    def __init__(self, environment: Environment, docker: ContainerSettings) -> None:
        super().__init__(environment)
        self._docker = docker
        self._image = str(environment.releases.image)
        self._inside = environment.releases.inside

    def versions(self) -> list[str]:
        """Versions whose images are on the host, oldest first."""
        docker, names = client(self._docker), set()
        with asked(f"the images of {self._image}"):
            for image in docker.images.list(name=self._image):
                names |= {version_of(tag.rpartition(":")[2]) for tag in image.tags}
        return sorted(filter(semver.Version.is_valid, names), key=semver.Version.parse)

    def _at(self, version: str) -> Path | None:
        """The unpacked release of a version's image, which is pulled first where the host has none."""
        docker, name = client(self._docker), f"{self._image}:{tag_of(version)}"
        with asked(f"image {name}"):
            image = found(docker.images.get, name)
        if image is None and self._may_be_pulled:
            image = self._pulled(docker, name, version)
        if image is None:
            return None
        folder = self._unpacked(docker, image, version)
        if self._environment.places and isinstance(self._docker, DockerSettings):
            from gate.containers.spread import spread

            spread(self._environment, self._docker, read(folder))
        return folder

    @property
    def _may_be_pulled(self) -> bool:
        """Whether the repository names its registry: a name that is built here may be anybody's on a public one."""
        registry = self._image.partition("/")[0] if "/" in self._image else ""
        return registry == "localhost" or "." in registry or ":" in registry or self._environment.releases.build is None

    def _pulled(self, docker: Client, name: str, version: str) -> Any | None:
        """The image from its registry; None where no registry has it, or it is to be built where none answers."""
        repository, _, tag = name.rpartition(":")
        try:
            with asked(f"image {name}"):
                return found(
                    lambda own: within(_PULL, f"pulling {own}", lambda: docker.images.pull(repository, tag=tag)), name
                )
        except EngineError as fault:
            if self._environment.releases.build is None:
                raise UsageError(
                    f"no release {version}: the host has no image {name}, and it cannot be pulled: {fault}",
                    next_step=f"python deploy_gate.py {self._environment.name} releases",
                ) from None
            return None

    def _build_values(self, version: str, folder: Path) -> dict[str, str]:
        return super()._build_values(version, folder) | {"image": self._image, "tag": tag_of(version)}

    def _build_variables(self) -> dict[str, str] | None:
        """An image is of use only to the engine that is to run it."""
        return {**os.environ, "DOCKER_HOST": url(self._docker)}

    def _unpacked(self, docker: Client, image: Any, version: str) -> Path:
        digest = self._digest(image)
        place = self.folder / digest.removeprefix("sha256:")[:16] / version
        if (place / MANIFEST).is_file():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as unfinished:
            new = Path(unfinished) / "release"
            self._copy(docker, image, new)
            self._describe(new, image, digest, version)
            shutil.rmtree(place, ignore_errors=True)
            new.rename(place)
        return place

    def _copy(self, docker: Client, image: Any, to: Path) -> None:
        what = f"{self._inside} in image {image.short_id}"
        with asked(what):
            labels = {STATE: self._docker.owner(self._environment.state_folder), TOOL: "unpack"}
            container = docker.containers.create(image.id, command=["-"], labels=labels)
            try:
                with tempfile.TemporaryFile() as packed:
                    within(_COPY, what, lambda: _copied(container, self._inside, packed))
                    packed.seek(0)
                    _unpack(packed, PurePosixPath(self._inside).name, to, what)
            finally:
                container.remove(force=True)

    def _describe(self, folder: Path, image: Any, digest: str, version: str) -> None:
        own = manifest_of(folder) if (folder / MANIFEST).is_file() else {}
        said = own.get("version", version)
        if said != version:
            raise OperationFailed(f"image {self._image}:{tag_of(version)} holds release {said}")
        (folder / MANIFEST).unlink(missing_ok=True)
        files = {
            file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        told: dict[str, Any] = {key: own[key] for key in ("openapi", "author") if key in own}
        manifest = {
            "format": 1,
            "name": self._environment.app.name,
            "version": version,
            "digest": digest,
            "commit": (image.labels or {}).get(_COMMIT) or own.get("commit"),
            "files": files,
            "image": image.id,
            "inside": self._inside,
            **told,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    def _digest(self, image: Any) -> str:
        """What it was called when it was unpacked here; else the digest its registry knows it by, else its own id.

        On a swarm a release that had only its own id was refused: it may have been pushed since.
        """
        names = (name.partition("@") for name in image.attrs.get("RepoDigests") or [])
        in_registry = next((digest for repository, _, digest in names if repository == familiar(self._image)), None)
        swarm = isinstance(self._docker, SwarmSettings)
        for file in self.folder.glob(f"*/*/{MANIFEST}"):
            with suppress(OperationFailed):
                known_as = read(file.parent)
                if known_as.image == image.id and not (swarm and known_as.digest == image.id):
                    return known_as.digest
        return str(in_registry or image.id)


def checks_health(image: Any) -> bool:
    """Whether an image has a health check of its own."""
    test = ((image.attrs.get("Config") or {}).get("Healthcheck") or {}).get("Test") or ["NONE"]
    return bool(test[0] != "NONE")


def _copied(container: Any, inside: str, to: Any) -> bool:
    pieces, _ = container.get_archive(inside)
    for piece in pieces:
        to.write(piece)
    return True


def _unpack(packed: Any, top: str, to: Path, what: str) -> None:
    """Files and folders below ``top``. Links that lead out of it are left out: nothing runs from here."""
    try:
        with tarfile.open(fileobj=packed) as archive:
            for member in archive:
                inner = PurePosixPath(member.name)
                if inner.parts[:1] != (top,) or len(inner.parts) < 2:
                    continue
                member.name = str(PurePosixPath(*inner.parts[1:]))
                if member.islnk():
                    member.linkname = str(PurePosixPath(*PurePosixPath(member.linkname).parts[1:]))
                with suppress(tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
                    archive.extract(member, to, filter="data")
    except (tarfile.TarError, OSError, LookupError, ValueError) as fault:
        raise EngineError(f"{what}: cannot be unpacked: {fault}") from None
    to.mkdir(exist_ok=True)


def image_of(release: Release) -> str:
    """The id of a release's image. Raises OperationFailed for a release that is none."""
    if release.image is None:
        raise OperationFailed(f"{release.folder / MANIFEST}: names no image, so release {release.version} was not one")
    return release.image


def packed(files: dict[str, bytes], folders: dict[str, int]) -> bytes:
    """A tar archive of files (readable by all) and folders with their modes, by their paths."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, mode in folders.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()
