"""A release's migration tools in a container of its own image: it alone has what they import."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

from gate.config import ContainerSettings
from gate.containers.client import Client, asked, client, within
from gate.containers.images import image_of, packed
from gate.containers.options import STATE, TOOL, options
from gate.database.tools import FRAME
from gate.errors import EngineError, ShellError
from gate.machine import shell
from gate.releases import Release

_PLACE = "/gate"
_ANSWERS = f"{_PLACE}/told/answers"
_ANSWERED = 60.0  # seconds
_OURS = {"GATE_PID", "PATH", "HOME", "TMPDIR"}  # of this machine, and of no use in a container


class InContainer:
    """Runs commands in containers of a release's image; implements ``gate.database.tools.Tools``."""

    python = "python3"

    def __init__(self, docker: ContainerSettings, release: Release, inside: str, state: Path) -> None:
        self.folder = inside
        self.state = state
        self._docker = docker
        self._release = release

    def command(self, argv: Sequence[str], *, env: Mapping[str, str], timeout: float) -> shell.Finished:
        try:
            with _Container(self._docker, self._release, self, argv, env) as run:
                return run.to_its_end(timeout)
        except EngineError as fault:
            raise ShellError(str(fault)) from None

    def script(
        self, python: str, script: Path, arguments: Sequence[str], *, env: Mapping[str, str], timeout: float
    ) -> tuple[shell.Finished | None, str]:
        files = {f"{_PLACE[1:]}/{file.name}": file.read_bytes() for file in (FRAME, script)}
        argv = [python, "-P", f"{_PLACE}/{FRAME.name}", _ANSWERS, f"{_PLACE}/{script.name}", *arguments]
        try:
            with _Container(self._docker, self._release, self, argv, env) as run:
                run.give(files)
                finished: shell.Finished | None = None
                with contextlib.suppress(ShellError):
                    finished = run.to_its_end(timeout)
                return finished, run.answers()
        except EngineError as fault:
            return shell.Finished(1, "", str(fault), 0.0), ""


class _Container:
    """One command's container: made, run and removed. It ends when the gate does: its standard input is held open."""

    def __init__(
        self,
        docker: ContainerSettings,
        release: Release,
        place: InContainer,
        argv: Sequence[str],
        env: Mapping[str, str],
    ) -> None:
        self._what = f"a container of {release.version}"
        self._engine: Client = client(docker)
        given = {name: value for name, value in env.items() if name not in _OURS}
        with asked(self._what):
            self._made = self._engine.containers.create(
                image_of(release),
                entrypoint=[argv[0]],
                command=list(argv[1:]),
                environment=given,
                working_dir=place.folder,
                stdin_open=True,
                labels={STATE: docker.owner(place.state), TOOL: release.version},
                **options(docker, given.values()),
            )

    def __enter__(self) -> _Container:
        return self

    def __exit__(self, *_: object) -> None:
        with asked(self._what):
            self._made.remove(force=True)

    def to_its_end(self, timeout: float) -> shell.Finished:
        """Raises ShellError when it takes too long."""
        began = time.monotonic()
        with asked(self._what):
            held = self._made.attach_socket(params={"stdin": 1, "stream": 1})
            try:
                self._made.start()
                try:
                    code = int(self._made.wait(timeout=timeout)["StatusCode"])
                except requests.RequestException:
                    if time.monotonic() - began < timeout:
                        raise  # it was not the time that was over
                    raise ShellError(f"{self._what}: did not end within {timeout:g} s") from None
            finally:
                held.close()
            out, err = (self._made.logs(stdout=out, stderr=not out).decode(errors="replace") for out in (True, False))
        return shell.Finished(code, out, err, time.monotonic() - began)

    def answers(self) -> str:
        """What the script told, also if it was killed."""
        try:
            with asked(self._what):
                archive = within(_ANSWERED, self._what, lambda: b"".join(self._made.get_archive(_ANSWERS)[0]))
        except EngineError:
            return ""
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            file = opened.extractfile(opened.getmembers()[0])
            return file.read().decode() if file is not None else ""

    def give(self, files: Mapping[str, bytes]) -> None:
        """Puts files into it, and a folder that whoever runs inside may write into."""
        with asked(self._what):
            self._made.put_archive("/", packed(dict(files), {_PLACE[1:]: 0o755, f"{_PLACE[1:]}/told": 0o777}))
