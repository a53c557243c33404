"""Publishes the evidence of a deployment: the bundle as a zip, and the report beside it to be read at once.

Each target is a module of its own, imported where it is used. A target that fails is told and stops no other.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gate.config import Environment
from gate.errors import GateError, UsageError
from gate.evidence import bundle
from gate.publish.parcel import Parcel, Target

REPORT = "report.html"


@dataclass(frozen=True)
class Published:
    """What became of one target: the ``place`` that a person opens, or the ``fault``."""

    target: str
    place: str = ""
    fault: str = ""
    next_step: str = ""


@dataclass(frozen=True)
class Packed:
    """The evidence of one deployment, copied to where nobody changes it; ``send`` takes it away, once."""

    parcel: Parcel
    targets: tuple[tuple[str, Target], ...]
    scratch: tempfile.TemporaryDirectory[str]

    def send(self) -> list[Published]:
        """Takes it to each target; raises nothing of what a target says."""
        found: list[Published] = []
        with self.scratch:
            for name, where in self.targets:
                try:
                    found.append(Published(name, where.publish(self.parcel)))
                except GateError as fault:
                    found.append(Published(name, fault=str(fault), next_step=fault.next_step or ""))
                except OSError as fault:
                    found.append(Published(name, fault=f"{type(fault).__name__}: {fault.strerror}"))
        return found


def pack(environment: Environment, folder: Path, release: tuple[str, str | None], names: Iterable[str]) -> Packed:
    """Packs the evidence in ``folder`` for each target that ``names`` say: a configured one, or a folder's path.

    ``release``: its version and its commit. Raises UsageError for a target that is not configured, OSError where the
    evidence cannot be packed.
    """
    targets = tuple((name, target(environment, name)) for name in names)
    number, place = int(folder.name), environment.name
    scratch = tempfile.TemporaryDirectory(prefix="gate-publish-")
    try:
        zipped = Path(scratch.name) / f"{place}-{number}.zip"
        bundle.pack(folder, zipped)
        files = {zipped.name: zipped}
        if (folder / REPORT).is_file():
            shown = Path(scratch.name) / f"{place}-{number}.html"
            files[shown.name] = Path(shutil.copyfile(folder / REPORT, shown))
    except BaseException:
        scratch.cleanup()
        raise
    return Packed(Parcel(place, number, *release, files), targets, scratch)


def target(environment: Environment, name: str) -> Target:
    """The target of a name. Raises UsageError where there is none."""
    settings = environment.publish
    if name == "s3" and settings.s3 is not None:
        from gate.publish.bucket import Bucket

        return Bucket(settings.s3, within=settings.timeout)
    if name == "github" and settings.github is not None:
        from gate.publish.github import GithubRelease

        return GithubRelease(settings.github, within=settings.timeout)
    from gate.publish.folder import Folder

    if name == "folder" and settings.folder is not None:
        return Folder(environment.root / settings.folder, within=settings.timeout)
    if "/" in name and "://" not in name:
        return Folder(environment.root / name, within=settings.timeout)
    known = ", ".join(settings.targets) or "none"
    raise UsageError(
        f"[publish] has no {name!r}; it has: {known}",
        next_step=f"a folder needs a slash: --to ./{name}" if name.isidentifier() else f"edit {environment.file}",
    )
