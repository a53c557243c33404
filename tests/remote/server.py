"""A server for the tests: OpenSSH's own, on this machine's loopback, before the tests' Docker engine."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gate.config import DockerSettings, Environment
from gate.containers.client import at, client, found, listed
from gate.machine.shell import wait_until
from gate.remote.door import Door
from gate.stack.proxy import binary
from tests.containers.dockered import Dockered, dockered
from tests.engine.site import folder, free_port

CONFIG = """
ListenAddress {address}:{port}
HostKey {place}/host_key
AuthorizedKeysFile {place}/authorized_keys
PidFile {place}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel DEBUG1
SetEnv PATH={place}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin {quiet}
"""
# Debian's bash reads ~/.bashrc in every SSH login that is not a shell within a shell. What a developer has written in
# there is no part of the test, and may wait: for a lock, say, which an earlier login held when a test cut it.
NO_PROFILE = "SHLVL=1"


@dataclass
class Server:
    """One that runs; ``key`` is the private key that it lets in. ``within``: what starts it in a network of its own."""

    place: Path
    port: int
    socket: Path
    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"ssh://{getpass.getuser()}@{self.address}:{self.port}{self.socket}"

    @contextmanager
    def programs(self, **scripts: str) -> Iterator[None]:
        """Programs of the server's own, by name, which whoever logs in meets before the system's."""
        folder = self.place / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        try:
            yield
        finally:
            shutil.rmtree(folder)

    @property
    def engine(self) -> dict[str, Any]:
        """The keys of [engine] that lead here."""
        return {
            "kind": "docker",
            "host": self.host,
            "identity": str(self.place / "key"),
            "known_hosts": str(self.place / "known_hosts"),
            "front_door": CADDY,
            "probes": f"127.0.0.1:{free_port()}",
        }

    def up(self) -> None:
        """Starts it; what it has forwarded before is gone."""
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self.process = subprocess.Popen(
            [*self.within, sshd, "-D", "-e", "-f", str(self.place / "config")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.place / "log").open("ab"),
            start_new_session=True,
        )
        assert wait_until(self.answers, timeout=10), (self.place / "log").read_text()

    def cut(self) -> None:
        """Ends every connection at once, and lets nobody in."""
        assert self.process is not None
        for pid in below(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.down()

    def silence(self) -> None:
        """What anybody sends gets no answer, and nobody is told that a connection is over: as if packets were lost."""
        assert self.process is not None
        for pid in (self.process.pid, *below(self.process.pid)):  # whoever lets in is stopped before it is looked at
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def speak(self) -> None:
        """Ends the silence: what was sent meanwhile arrives now, as packets do that are sent again."""
        assert self.process is not None
        for pid in (*below(self.process.pid), self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def hang_up(self) -> None:
        """Kills every ``ssh`` of this machine that leads here; whoever wants to may connect again."""
        for pid in self.clients():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def clients(self) -> list[int]:
        """The processes of this machine that hold a connection to it."""
        words = f"\0-p\0{self.port}\0".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile
                line = (place / "cmdline").read_bytes()
                if line.startswith(b"ssh\0") and words in line:
                    found.append(int(place.name))
        return found

    def down(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def answers(self) -> bool:
        """Whether somebody listens."""
        with socket.socket() as asking:
            return asking.connect_ex((self.address, self.port)) == 0


CADDY = "gate-test-caddy:1"
_DOCKERFILE = """FROM gate-test-base:1
COPY caddy /usr/bin/caddy
RUN ["/bin/busybox", "true"]
RUN for name in chmod df dirname ln mkdir mv readlink rm sync; do ln -sf busybox /bin/$name; done
"""


def below(pid: int) -> list[int]:
    """All that a process has started and that runs yet, and what that has."""
    found: list[int] = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *below(int(child))]
    return found


def with_a_proxy(engine: Path) -> None:
    """Makes the image of the front door on an engine, unless it is there."""
    images = at(f"unix://{engine}").images
    if found(images.get, CADDY) is None:
        with folder() as place:
            shutil.copy(binary(), place / "caddy")
            (place / "Dockerfile").write_text(_DOCKERFILE)
            images.build(path=str(place), rm=True, tag=CADDY)


@contextmanager
def server(engine: Path, address: str = "127.0.0.1", within: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server whose Docker engine is the one that listens at a socket of this machine."""
    with folder() as place:
        made = Server(place, free_port(), engine, address, within)
        for name in ("host_key", "key", "other_key"):
            subprocess.run(
                [shutil.which("ssh-keygen") or "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)],
                check=True,
                timeout=20,
            )
        shutil.copy(place / "key.pub", place / "authorized_keys")
        kind, key, *_ = (place / "host_key.pub").read_text().split()
        (place / "known_hosts").write_text(f"[{address}]:{made.port} {kind} {key}\n")
        (place / "config").write_text(CONFIG.format(address=address, port=made.port, place=place, quiet=NO_PROFILE))
        Path("/run/sshd").mkdir(exist_ok=True)  # of Debian's: for who is not let in yet
        made.up()
        try:
            yield made
        finally:
            made.down()


@contextmanager
def deployed(at_server: Server, **changes: Any) -> Iterator[Dockered]:
    """An environment of its own there; nothing of it is left on the server afterwards."""
    port = free_port()
    tables: dict[str, Any] = {
        "app": {"name": f"tiny{port}", "url": f"http://127.0.0.1:{port}"},
        "traffic": {"listen": f"127.0.0.1:{port}"},
        "engine": at_server.engine,
    }
    with dockered("", **(tables | changes)) as here:
        yield here
    removed(here.environment, docker_of(here))


def removed(environment: Environment, docker: DockerSettings) -> None:
    """Nothing of an environment is left on its server."""
    door, engine = Door(environment, docker), client(docker)
    for container in listed(engine, stopped=True, label=f"deploy-gate.state={door.owner}"):
        container.remove(force=True)
    volume = found(engine.volumes.get, door.volume)
    if volume is not None:
        volume.remove()


def docker_of(here: Dockered) -> DockerSettings:
    assert isinstance(here.environment.engine, DockerSettings)
    return here.environment.engine
