"""A server for the recipes: a container with systemd as its first process, OpenSSH, and what the recipe installs there.

It is made ready as docs/commands.md says, and reached as any other: by SSH and at its front door.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gate.containers.client import at, within
from gate.machine.shell import wait_until
from tests.engine.site import folder, free_port

IMAGE = "gate-test-server:1"
RECIPES = Path(__file__).resolve().parents[2] / "example" / "recipes"
_FOR = 120.0  # seconds for a command on it
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


@dataclass
class Server:
    """One that runs; ``place`` holds, on this machine, the key that it lets in, and its own in ``known_hosts``."""

    container: Any
    place: Path
    ssh: int
    web: int

    def run(self, *argv: str) -> str:
        """What a command prints there, run as root. It must end well."""
        code, said = self.tried(*argv)
        assert code == 0, f"{argv}: exit code {code}: {said}"
        return said

    def tried(self, *argv: str) -> tuple[int, str]:
        """The exit code of a command there, and what it prints."""
        code, said = within(_FOR, " ".join(argv), lambda: self.container.exec_run(list(argv)))
        return int(code), str(said.decode())

    def put(self, into: str, *files: Path) -> None:
        """Copies files and folders into a folder there, as root's."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for file in files:
                tar.add(file, file.name, filter=_of_root)
        self.run("mkdir", "-p", into)
        within(_FOR, f"copying to {into}", lambda: self.container.put_archive(into, packed.getvalue()))

    def up(self) -> None:
        """Waits until it has started."""
        target = ["systemctl", "is-active", "--quiet", "multi-user.target"]
        assert wait_until(lambda: self.tried(*target)[0] == 0, timeout=60), self.tried("systemctl", "--no-pager")[1]

    def restart(self) -> None:
        """As a reboot would: everything on it ends, and what is to start by itself does."""
        within(_FOR, "a restart", lambda: self.container.restart(timeout=30))
        self.up()

    def running(self) -> list[str]:
        """The versions of the store's units that run."""
        units = self.run("systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating", "store@*")
        names = [line.split()[0].removeprefix("store@").removesuffix(".service") for line in units.splitlines()]
        return sorted(Path(self.run("readlink", f"/srv/store/instances/{name}/release").strip()).name for name in names)

    def followers(self) -> list[str]:
        """Who follows the log of requests."""
        code, said = self.tried("pgrep", "-a", "tail")
        return said.splitlines() if code == 0 else []

    def to_ssh_config(self, text: str) -> str:
        """The recipe's ``ssh_config`` after a person has named this server in it."""
        changes = (
            ("HostName shop-1.example", f"HostName 127.0.0.1\n  Port {self.ssh}"),
            ("BatchMode yes", f"BatchMode yes\n  IdentityFile {self.place}/key\n  IdentitiesOnly yes"),
            ("StrictHostKeyChecking yes", f"StrictHostKeyChecking yes\n  UserKnownHostsFile {self.place}/known_hosts"),
            ("ControlPath ~/.ssh/%C", f"ControlPath {self.place}/%C"),  # whoever tests has a ~/.ssh of his own
        )
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _groups(version: str) -> dict[str, Any]:
    """What lets systemd keep its units apart: control groups that it may write to."""
    if version == "2":
        return {"privileged": True, "cgroupns": "private"}
    groups = "/sys/fs/cgroup/systemd"
    return {"cap_add": ["SYS_ADMIN"], "volumes": {groups: {"bind": groups, "mode": "rw"}}}


@contextmanager
def server(docker_host: str, *, sudo: str = "") -> Iterator[Server]:
    """One on which a person has installed what the recipe for systemd brings. ``sudo``: what deploy may do besides."""
    engine = at(docker_host)
    ssh, web = free_port(), free_port()
    container = engine.containers.run(
        IMAGE,
        detach=True,
        hostname="shop-1",
        stop_signal="SIGRTMIN+3",  # what systemd takes for "end everything"
        labels={"gate-test": "recipes"},
        ports={"22/tcp": ("127.0.0.1", ssh), "8080/tcp": ("127.0.0.1", web)},
        tmpfs={"/run": "exec", "/run/lock": "", "/tmp": "exec"},  # noqa: S108 - the server's own
        security_opt=["apparmor=unconfined"],
        **_groups(engine.info()["CgroupVersion"]),
    )
    try:
        with folder() as place:
            made = Server(container, place, ssh, web)
            made.up()
            _installed(made)
            if sudo:
                made.run("sh", "-c", f"umask 337; echo 'deploy {sudo}' >/etc/sudoers.d/more")
            yield made
    finally:
        within(_FOR, "removing it", lambda: container.remove(force=True, v=True))


def _installed(made: Server) -> None:
    made.put("/root", RECIPES / "systemd" / "server")
    made.run("sh", "/root/server/install.sh")
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made.place / "key"))
    (made.place / "key.pub").rename(made.place / "authorized_keys")
    made.run("install", "-d", "-o", "deploy", "-g", "deploy", "-m", "0700", "/home/deploy/.ssh")
    made.put("/home/deploy/.ssh", made.place / "authorized_keys")
    made.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", _HOST_KEY)
    made.run("systemctl", "enable", "--now", "ssh")
    kind, key, *_ = made.run("cat", f"{_HOST_KEY}.pub").split()
    (made.place / "known_hosts").write_text(f"[127.0.0.1]:{made.ssh} {kind} {key}\n")


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=30)


def disconnected(config: Path) -> None:
    """Ends the one connection that the recipe's commands share."""
    argv = ["ssh", "-F", str(config), "-O", "exit", "store-server"]
    subprocess.run(argv, capture_output=True, timeout=30, check=False)
