"""The container that is an environment's front door on a server, and the volume it reads; implements ``Place``.

What the proxy reads for each request lies in the volume, and is changed by commands in its container: the engine is
the only thing on the server that is asked for anything.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from pathlib import PurePosixPath
from typing import Any

from gate.config import DockerSettings, Environment
from gate.containers.client import Client, again, asked, client, found, within
from gate.containers.options import LABEL, STATE
from gate.errors import EngineError
from gate.redact import cut
from gate.remote.session import Session

FOLDER = PurePosixPath("/gate")
_DONE = 30.0  # seconds a command in the container may take
_LINK = 'ln -sfn -- "$2" "$3" && mv -fT -- "$3" "$1"'
# Makes a rename last; a system whose ``sync`` takes no name syncs everything.
_LASTS = '&& { sync "$(dirname "$1")" 2>/dev/null || sync; }'


_sessions: dict[tuple[str, str], Session] = {}


def session(docker: DockerSettings, container: str) -> Session:
    """This process's shell in a container."""
    return _sessions.setdefault((docker.host, container), Session(lambda: client(docker), container))


class Door:
    """One environment's. Every call that finds no container, or one that does not run, raises EngineError."""

    folder = FOLDER
    base = FOLDER

    def __init__(self, environment: Environment, docker: DockerSettings) -> None:
        self._environment = environment
        self._docker = docker
        self.owner = docker.owner(environment.state_folder)
        self.name = (
            f"{environment.app.name}-{environment.name}-{hashlib.sha256(self.owner.encode()).hexdigest()[:8]}-door"
        )
        self.volume = self.name
        self.server = docker.named

    @property
    def engine(self) -> Client:
        return client(self._docker)

    def found(self) -> dict[str, Any] | None:
        """The container as the engine describes it; None without one."""
        with asked(f"the Docker engine at {self._docker.host}"):
            made: dict[str, Any] | None = found(self.engine.api.inspect_container, self.name)
            return made

    def create(self) -> None:
        """Makes the container and its volume. Raises EngineError, also where there is no image."""
        image = self._docker.front_door
        with asked(f"image {image}"):
            if found(self.engine.images.get, image) is None:
                within(600, f"pulling {image}", lambda: self.engine.images.pull(image))
        with asked(self.name):
            labels = {STATE: self.owner, f"{LABEL}door": self._environment.name}
            self.engine.volumes.create(self.volume, labels=labels)
            self.engine.containers.create(
                image,
                entrypoint=["caddy"],
                command=["run", "--config", str(FOLDER / "caddy.json")],
                name=self.name,
                environment={"XDG_DATA_HOME": str(FOLDER), "XDG_CONFIG_HOME": str(FOLDER), "HOME": str(FOLDER)},
                labels=labels,
                network_mode="host",
                user="0:0",
                cap_drop=["ALL"],
                cap_add=["NET_BIND_SERVICE"],
                security_opt=["no-new-privileges"],
                volumes=[f"{self.volume}:{FOLDER}"],
                read_only=True,
                restart_policy={"Name": "unless-stopped"},
                log_config={"Type": "json-file", "Config": {"max-size": "50m", "max-file": "5"}},
            )

    def run(self, script: str, *words: str, allowed: tuple[int, ...] = (0,)) -> tuple[int, str]:
        """Runs a line of shell in the container; its exit code and what it printed. Raises EngineError."""
        code, said = session(self._docker, self.name).run(script, words, _DONE)
        if code not in allowed:
            raise EngineError(
                f"{self.name}: {words[0] if words else script}: exit code {code}: {cut.tail(said.strip(), 200)}"
            )
        return code, said

    def ask(self, script: str, *words: str, allowed: tuple[int, ...] = (0,)) -> tuple[int, str]:
        """As ``run``, for what changes nothing: where the connection was lost, the next one is asked again."""
        return again(lambda: self.run(script, *words, allowed=allowed))

    def put(self, name: str, content: bytes) -> None:
        """Puts a file into the volume, also while the container does not run; nobody but its owner can read it."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo(PurePosixPath(name).name)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(content))
        place = str((FOLDER / name).parent)
        with asked(self.name):
            within(_DONE, self.name, lambda: self.engine.api.put_archive(self.name, place, packed.getvalue()))

    def make(self) -> None:
        self.run('umask 077 && mkdir -p -- "$1/traffic" "$1/rel" && chmod 700 "$1/traffic" "$1/rel"', str(FOLDER))

    def read(self, name: str) -> str | None:
        code, said = self.ask('[ -e "$1" ] || exit 3; cat -- "$1"', self._at(name), allowed=(0, 3))
        return said if code == 0 else None

    def target(self, name: str) -> str | None:
        code, said = self.ask('[ -L "$1" ] || exit 3; readlink -- "$1"', self._at(name), allowed=(0, 3))
        return PurePosixPath(said.strip()).name if code == 0 else None

    def write(self, name: str, text: str) -> None:
        # The text is an argument of nothing but the shell's own printf: nobody on the server sees it listed.
        script = 'umask 077 && mkdir -p -- "$(dirname "$1")" && printf %s "$2" >"$3" && { sync "$3" || :; }'
        self.run(f'{script} && mv -fT -- "$3" "$1" {_LASTS}', self._at(name), text, self._new(name))

    def link(self, name: str, to: str) -> None:
        self.run(f"{_LINK} {_LASTS}", self._at(name), to, self._new(name))

    def move(self, name: str, onto: str) -> None:
        self.run(f'mv -fT -- "$2" "$1" {_LASTS}', self._at(onto), self._at(name))

    def remove(self, name: str) -> None:
        self.run('rm -rf -- "$1"', self._at(name))

    def holders(self, folder: str, file: str) -> list[str]:
        _, said = self.ask('for one in "$1"/*/"$2"; do [ -e "$one" ] && echo "$one"; done; :', self._at(folder), file)
        return [PurePosixPath(line).parent.name for line in said.splitlines()]

    def _new(self, name: str) -> str:
        """The name of what is to take a thing's place: another than that of a session before, which may not be over."""
        return f"{self._at(name)}.{session(self._docker, self.name).mark}.new"

    def _at(self, name: str) -> str:
        return str(FOLDER / name)
