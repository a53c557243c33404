"""Where a release's own migration tools run: on this machine, or in a container of the release's image."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gate.config import ContainerSettings, Environment
from gate.errors import ShellError
from gate.machine import shell
from gate.releases import Release

FRAME = Path(__file__).with_name("release_child.py")


class Tools(Protocol):
    """Runs commands in a release's folder; ``folder`` and ``python`` are what they are called where that is."""

    folder: str
    python: str

    def command(self, argv: Sequence[str], *, env: Mapping[str, str], timeout: float) -> shell.Finished:
        """A command of the team's, to its end. Raises ShellError when it cannot start, or takes too long."""

    def script(
        self, python: str, script: Path, arguments: Sequence[str], *, env: Mapping[str, str], timeout: float
    ) -> tuple[shell.Finished | None, str]:
        """A script of ours in the frame of ``release_child``: how it ended and what it answered until then.

        None for one that could not start or took too long.
        """


class Here:
    """This machine, with the Python that runs the gate."""

    def __init__(self, release: Release) -> None:
        self._folder = release.folder
        self.folder = str(release.folder)
        self.python = sys.executable

    def command(self, argv: Sequence[str], *, env: Mapping[str, str], timeout: float) -> shell.Finished:
        return shell.run(argv, cwd=self._folder, env=env, timeout=timeout, check=False)

    def script(
        self, python: str, script: Path, arguments: Sequence[str], *, env: Mapping[str, str], timeout: float
    ) -> tuple[shell.Finished | None, str]:
        with tempfile.TemporaryDirectory(prefix="deploy-gate-") as place:
            answers = Path(place) / "answers"
            argv = [python, "-P", str(FRAME), str(answers), str(script), *arguments]
            finished: shell.Finished | None = None
            with contextlib.suppress(ShellError):
                finished = self.command(argv, env=env, timeout=timeout)
            return finished, answers.read_text(encoding="utf-8") if answers.exists() else ""


def of(environment: Environment, release: Release) -> Tools:
    """Where the tools of a release of this environment run."""
    if isinstance(environment.engine, ContainerSettings):
        from gate.containers.tools import InContainer

        return InContainer(environment.engine, release, environment.releases.inside, environment.state_folder)
    return Here(release)
