"""Whom an SSH connection leads to, what every ``ssh`` to it is given, and why it was refused."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gate.config import ContainerSettings
from gate.errors import EngineError, ShellError
from gate.machine import shell

SOCKET = "/var/run/docker.sock"
LET_IN = 10
"""Seconds in which a server has to answer whoever knocks."""
# Seconds without an answer until a connection is given up: whatever waits for it then fails, instead of hanging.
_ALIVE_EVERY, _ALIVE_TIMES = 5, 3
_ASKED = 10.0  # seconds OpenSSH's tools may take to read a file


@dataclass(frozen=True)
class Target:
    """Whom to connect to, and by what; ``port`` and ``user`` None: as the user's own SSH configuration says."""

    name: str
    port: int | None
    user: str | None
    socket: str
    identity: Path | None
    key: str | None = field(repr=False)
    known_hosts: Path | None

    @staticmethod
    def of(docker: ContainerSettings) -> Target:
        parts = urlsplit(docker.host)
        return Target(
            name=_named(parts.netloc),
            port=parts.port,
            user=parts.username,
            socket=parts.path if parts.path not in {"", "/"} else SOCKET,
            identity=docker.root / Path(docker.identity).expanduser() if docker.identity else None,
            key=docker.key.reveal() if docker.key else None,
            known_hosts=docker.root / Path(docker.known_hosts).expanduser() if docker.known_hosts else None,
        )

    def options(self, key: Path | None, let_in: int = LET_IN) -> list[str]:
        """What every ``ssh`` to it is given; ``key`` is the file of a key that was given as text."""
        identity = key or self.identity
        return [
            *("-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=yes"),
            *("-o", f"ConnectTimeout={let_in}"),
            *("-o", f"ServerAliveInterval={_ALIVE_EVERY}"),
            *("-o", f"ServerAliveCountMax={_ALIVE_TIMES}"),
            *(("-o", f'UserKnownHostsFile="{_literally(self.known_hosts)}"') if self.known_hosts else ()),
            *(("-i", str(identity), "-o", "IdentitiesOnly=yes") if identity else ()),
            *(("-p", str(self.port)) if self.port else ()),
            *(("-l", self.user) if self.user else ()),
        ]

    def refused(self, why: str) -> EngineError:
        """The error of a connection that did not come about: that its key is not known, where that is so."""
        text = f"no SSH connection to {_shown(self.name, self.port)}: {why}"
        asked = self._as_configured()
        host, port = asked.get("hostname", self.name), asked.get("port", "22")
        name = asked.get("hostkeyalias") or _shown(host, int(port))
        own, all_users = (_files(asked.get(f"{whose}knownhostsfile", "")) for whose in ("user", "global"))
        own = [file for file in ([str(self.known_hosts)] if self.known_hosts else own) if file != os.devnull]
        elsewhere = asked.keys() & {"knownhostscommand", "proxyjump", "proxycommand"}  # what is between may refuse us
        if not asked or elsewhere or any(_holds(file, name) for file in own + all_users):
            return EngineError(text, next_step=f"see that this works: {self._command()}")
        if not own:
            text += "; your SSH configuration keeps no file of known servers for it"
            return EngineError(text, next_step="[engine] known_hosts = a file with its key")
        scan = f"ssh-keyscan{'' if port == '22' else f' -p {port}'} {host}"
        if "hostkeyalias" in asked:
            scan += f" | sed 's/^[^ ]*/{name}/'"
        file = shlex.quote(own[0])
        return EngineError(
            f"the key of {name} is not known ({own[0]}): {text}",
            next_step=f"{scan} >> {file}   once you have compared its fingerprint with the server's own",
        )

    def _as_configured(self) -> dict[str, str]:
        """What ``ssh`` makes of this and of the user's own configuration, by its keys; empty where it does not tell."""
        try:
            ran = shell.run(["ssh", "-G", *self.options(None), "--", self.name], timeout=_ASKED, check=False)
        except ShellError:
            return {}
        lines = (line.partition(" ") for line in ran.out.splitlines())
        return {key: value for key, _, value in lines if value != "none"} if ran.code == 0 else {}

    def _command(self) -> str:
        """What a person types to try the same."""
        words = [
            "ssh",
            *(["-p", str(self.port)] if self.port else []),
            *(["-i", str(self.identity)] if self.identity else []),
        ]
        if self.known_hosts:
            words += ["-o", f'UserKnownHostsFile="{_literally(self.known_hosts)}"']
        return shlex.join([*words, f"{self.user}@{self.name}" if self.user else self.name, "true"])


def _named(netloc: str) -> str:
    """The server in an address, as it is written there: aliases of SSH tell capitals from small letters."""
    return netloc.rpartition("@")[2].partition(":")[0]


def _literally(file: Path) -> str:
    """A path in which ``ssh`` replaces nothing."""
    return str(file).replace("%", "%%")


def _files(told: str) -> list[str]:
    """The files that ``ssh -G`` names in a row: one, if there is one whose path has spaces."""
    return [told] if Path(told).is_file() else told.split()


def _shown(name: str, port: int | None) -> str:
    """A server as files of known hosts name it."""
    return name if port in {None, 22} else f"[{name}]:{port}"


def _holds(file: str, name: str) -> bool:
    """Whether a file of known hosts holds a server's key, also under a hashed name."""
    try:
        return shell.run(["ssh-keygen", "-F", name, "-f", file], timeout=_ASKED, check=False).code == 0
    except ShellError:
        return True  # nobody can tell
