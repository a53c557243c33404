"""A server that is reached over SSH: the project is copied there, its gate runs there, its report comes back.

The key lies in a file of this process alone, for as long as it is needed. Nothing that is secret stands in an argument:
the commands and the variables go to the server's shell through standard input. A host key that nobody has compared is
refused.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import brought

SHIPPED = ".shipped"
"""On the server: the files of the last copy, so that one which the project no longer has is removed there."""

_ALIVE = ("ServerAliveInterval=15", "ServerAliveCountMax=8")  # a connection that is silent for 2 minutes is lost
_ADDRESS = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9._:-]+?|\[[0-9a-fA-F:]+\])(:(?P<port>\d+))?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COPY_SECONDS = 300
STARTED_BY = ("GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR", "GITLAB_USER_LOGIN", "GITLAB_USER_EMAIL", "BUILD_USER_ID")
"""Who started the job: the server's gate must know, or who signed could deploy by the CI's account."""

AUTHORS = "COMMIT_AUTHORS"
"""Who wrote the commit that is checked out: the server has no repository to ask, and no author may sign."""
_WROTE = "%an <%ae>%n%(trailers:key=Co-authored-by,valueonly)"

_TAKE = """\
set -eu
export LC_ALL=C
mkdir -p {path}
cd {path}
tar -x
if [ -f {list}.before ]; then comm -z -23 {list}.before {list} | xargs -0 -r rm -f --; fi
cp {list} {list}.before
"""


class Unreachable(Exception):  # noqa: N818 - read as "the server is unreachable"
    """The server cannot be used; the message says what to mend."""


@dataclass
class Server:
    """One server; its methods hold only within ``reached``."""

    address: re.Match[str]
    path: str
    key: str
    host_key: str
    folder: Path
    variables: tuple[str, ...]
    files: tuple[str, ...]
    prepare: str
    authors: str = ""
    largest: int = brought.LARGEST
    _options: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, address: str, folder: Path) -> Server:
        """Takes its settings from the step's inputs and SSH_PRIVATE_KEY. Raises Unreachable naming what is missing."""
        given = {name: os.environ.get(f"GATE_{name}", "").strip() for name in _SETTINGS}
        wrong = [name for name in given["VARIABLES"].split() if not _NAME.fullmatch(name)]
        if wrong:
            raise Unreachable(f"input variables: {wrong[0]!r} is no name of a variable")
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise Unreachable(f"input server: {address!r}; write user@host or user@host:port")
        host, port = found["host"], found["port"]
        if not given["SERVER_KEY"]:
            asked = f"ssh-keyscan {f'-p {port} ' if port else ''}-t ed25519 {host}"
            raise Unreachable(f"input server-key is empty: {asked}   prints it; compare it with the server's own first")
        if not given["SERVER_PATH"].startswith("/"):
            raise Unreachable(f"input server-path: {given['SERVER_PATH']!r} is no absolute path")
        key = os.environ.get("SSH_PRIVATE_KEY", "")
        if not key.strip():
            raise Unreachable("SSH_PRIVATE_KEY is empty: put the key into the CI's secrets and into the step's env")
        return cls(
            address=found,
            path=given["SERVER_PATH"],
            key=key.replace("\r\n", "\n").strip() + "\n",
            host_key=given["SERVER_KEY"],
            folder=folder,
            variables=tuple(given["VARIABLES"].split()),
            files=tuple(line.strip() for line in given["FILES"].splitlines() if line.strip()),
            prepare=os.environ.get("GATE_PREPARE", ""),
            authors=os.environ.get(AUTHORS) or _wrote(folder),
        )

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Holds the key in a file of ours for a block."""
        with tempfile.TemporaryDirectory(prefix="deploy-gate-") as place:
            key, hosts = Path(place) / "key", Path(place) / "known_hosts"
            with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(self.key)
            hosts.write_text(self.host_key + "\n", encoding="utf-8")
            told = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15", *_ALIVE]
            told += [f"UserKnownHostsFile={hosts}", "GlobalKnownHostsFile=none", "RequestTTY=no", "LogLevel=ERROR"]
            self._options = ["-F", "none", "-i", str(key), *[word for line in told for word in ("-o", line)]]
            if self.address["port"]:
                self._options += ["-p", self.address["port"]]
            yield

    def shell(self) -> list[str]:
        """The command that has the server's shell do what it is given on standard input."""
        return self._ssh("sh -s")

    def preparation(self) -> str:
        """What the server's shell is to do before the gate starts."""
        return "\n".join([*self._given(), f"(\n{self.prepare}\n) </dev/null", "exit", ""])

    def script(self, words: Sequence[str]) -> str:
        """What the server's shell is to do: start the gate with these arguments."""
        start = f"exec .venv/bin/python deploy_gate.py {shlex.join(words)} </dev/null"
        return "\n".join([*self._given(), start, ""])

    def _given(self) -> list[str]:
        wanted = dict.fromkeys((*self.variables, *STARTED_BY))
        values = {name: os.environ[name] for name in wanted if os.environ.get(name)}
        values |= {AUTHORS: self.authors} if self.authors else {}
        exports = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
        return ["set -eu", f"cd {shlex.quote(self.path)}", *exports]

    def ship(self) -> None:
        """Copies what git tracks, and ``files``; what the copy before had and this one has not is removed."""
        names = sorted({*self._tracked(), *self.files})
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name in names:
                try:
                    tar.add(self.folder / name, arcname=name, recursive=False)
                except OSError as fault:
                    raise Unreachable(f"{name}: cannot be copied: {fault.strerror}") from None
            listed = "".join(f"{name}\0" for name in names).encode()
            entry = tarfile.TarInfo(SHIPPED)
            entry.size, entry.mode = len(listed), 0o644
            tar.addfile(entry, io.BytesIO(listed))
        self._ask(_TAKE.format(path=shlex.quote(self.path), list=SHIPPED), packed.getvalue())

    def fetch(self, report: Path) -> None:
        """Brings a report back, with what lies beside it. Raises Unreachable, Misplaced."""
        script = f"cd {shlex.quote(f'{self.path}/{report.parent}')} && tar -c ."
        argv = self._ssh(f"sh -c {shlex.quote(script)}")
        with tempfile.TemporaryFile() as packed:
            with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
                late = threading.Timer(_COPY_SECONDS, child.kill)
                late.start()
                try:
                    if child.stdout is not None:
                        brought.take(child.stdout, packed, self.largest)
                    child.wait()  # ``late`` ends it, if nothing else does
                finally:
                    late.cancel()
                    child.kill()  # one that has ended hears nothing of it
            if child.returncode != 0:
                raise Unreachable(f"{self.address[0]}: exit code {child.returncode}, or no end in {_COPY_SECONDS} s")
            brought.unpack(packed, self.folder, report)

    def _tracked(self) -> list[str]:
        listed = subprocess.run(
            ["git", "ls-files", "-z"],  # noqa: S607 - the runner's git
            cwd=self.folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        names = [name for name in listed.stdout.decode().split("\0") if name]
        if listed.returncode != 0 or not names:
            raise Unreachable(f"{self.folder.absolute()}: git tracks nothing here; is the repository checked out?")
        return names

    def _ask(self, script: str, given: bytes) -> bytes:
        """What a short script without secrets prints on the server, given some bytes. Raises Unreachable."""
        argv = self._ssh(f"sh -c {shlex.quote(script)}")
        try:
            ended = subprocess.run(argv, input=given, stdout=subprocess.PIPE, timeout=_COPY_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Unreachable(f"{self.address[0]}: no end within {_COPY_SECONDS} s") from None
        if ended.returncode != 0:
            raise Unreachable(f"{self.address[0]}: exit code {ended.returncode}; what it said stands above")
        return ended.stdout

    def _ssh(self, command: str) -> list[str]:
        return ["ssh", *self._options, f"{self.address['user']}@{self.address['host'].strip('[]')}", command]


def _wrote(folder: Path) -> str:
    """Author and co-authors of the commit that is checked out, with semicolons between; empty where git tells none."""
    told = subprocess.run(
        ["git", "log", "-1", "--no-show-signature", f"--format={_WROTE}"],  # noqa: S607 - the runner's git
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    lines = told.stdout.decode(errors="replace").splitlines() if told.returncode == 0 else []
    return "; ".join(" ".join(line.split()) for line in lines if line.strip())


_SETTINGS = ("SERVER_PATH", "SERVER_KEY", "VARIABLES", "FILES", "PREPARE")
