"""A PostgreSQL server of our own: the embedded stack's, or a private one that lives for a moment."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from gate.database import accounts
from gate.database.accounts import Account
from gate.database.binaries import binaries, major, tool
from gate.errors import DatabaseError, ShellError
from gate.machine import flock, shell, sockets
from gate.machine.supervise import Process, end_all
from gate.redact import Secret

SUPERUSER = "gate"
_SOCKET_PORT = 5432  # only a part of the socket's file name where no port is listened on
_SOCKET_NAME = len(".s.PGSQL.65535.lock")
_PROCESS = "postgres"


class Cluster:
    """One data folder and its server: ``folder`` holds ``data``, ``postgres.log`` and the superuser's password.

    With a ``port`` it listens on the loopback address, always also on a unix socket. ``durable=False`` turns fsync off:
    for copies that nobody misses. The server outlives the gate and is found again by its folder.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, durable: bool = True, account: Account | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.durable = durable
        self._account = account or accounts.account()
        self._process = Process(self.folder, _PROCESS)

    @property
    def data(self) -> Path:
        """The data folder; may be filled by pg_basebackup instead of ``init``."""
        return self._home() / "data"

    @property
    def log(self) -> Path:
        return self._process.log

    def init(self) -> None:
        """Makes an empty cluster: UTF-8, scram passwords. Does nothing when there is one. Raises DatabaseError."""
        if (self.data / "PG_VERSION").is_file():
            return
        _private(self.folder)
        home = self._home()
        password = self.folder / "password"
        _write_private(password, secrets.token_urlsafe(24))
        handed = home / "initdb.password"
        _write_private(handed, password.read_text())
        unfinished = home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give_away(unfinished, handed)
        try:
            shell.run(
                self._account.argv(
                    self._program("initdb"), "--pgdata", unfinished, "--username", SUPERUSER, "--pwfile", handed,
                    "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8",
                    *(() if self.durable else ("--no-sync",)),
                ),
                timeout=120,
                cwd=Path("/"),
            )  # fmt: skip
        except ShellError as fault:
            raise DatabaseError(f"{self.folder}: no cluster could be made: {fault}") from None
        finally:
            handed.unlink()
        unfinished.rename(self.data)

    def start(self, *, timeout: float = 60) -> None:
        """Starts the server and waits until it takes connections. Does nothing when it does already.

        Raises DatabaseError with the end of its log when it ends, or is not ready within ``timeout`` seconds.
        """
        # A server that was killed takes a moment until its last child has ended.
        shell.wait_until(lambda: self.ready() or not self._process.held(), timeout=10)
        if self.ready():
            return
        if self._process.held():
            raise DatabaseError(f"{self.folder}: a server runs but takes no connections; see {self.log}")
        self._require_same_version()
        self._clear_remains()
        self._give_away(self.data)
        argv = self._account.argv(self._program("postgres"), "-D", self.data, *self._settings())
        try:
            self._process.start(argv, env=_environment(), cwd=Path("/"))
        except ShellError as fault:
            raise DatabaseError(str(fault)) from None
        if not shell.wait_until(lambda: self.ready() or not self._process.alive(), timeout=timeout) or not self.ready():
            ended = not self._process.alive()
            self._process.stop(0)
            said = "\n".join(self._process.tail(8))
            what = "ended at once" if ended else f"took no connections within {timeout:g} s"
            raise DatabaseError(f"PostgreSQL in {self.folder} {what}:\n{said}")

    def ready(self) -> bool:
        """Whether the server lives and says that it takes connections."""
        if not self._process.alive():
            return False
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[7].strip() == "ready"
        return False

    def alive(self) -> bool:
        """Whether the server's process lives."""
        return self._process.alive()

    def held(self) -> bool:
        """Whether any process of the server still runs, if only for a moment after it was killed."""
        return self._process.held()

    def stop(self, *, grace: float = 30) -> None:
        """Ends every session and stops the server; kills it after ``grace`` seconds."""
        self._process.stop(grace, number=signal.SIGINT)

    def remove(self) -> None:
        """Stops the server and removes all its files."""
        self.stop(grace=5)
        home = self._home()
        sockets.forget(home)
        for folder in {home, self.folder}:
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> Secret:
        """A URL for libpq and SQLAlchemy; without a user it is the superuser's."""
        secret = quote(password or (self.folder / "password").read_text(), safe="")
        base = f"postgresql://{quote(user, safe='')}:{secret}@"
        name = quote(database, safe="")
        if self.port is not None:
            return Secret(f"{base}127.0.0.1:{self.port}/{name}")
        return Secret(f"{base}/{name}?host={quote(str(self._socket_folder()), safe='/')}&port={_SOCKET_PORT}")

    def _settings(self) -> list[str]:
        values = {
            "listen_addresses": "127.0.0.1" if self.port is not None else "",
            "port": str(self.port or _SOCKET_PORT),
            "unix_socket_directories": str(self._socket_folder()),
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "shared_buffers": "128MB" if self.durable else "64MB",
            "logging_collector": "off",
            "log_destination": "stderr",
            "ssl": "off",
        }
        return [word for key, value in values.items() for word in ("-c", f"{key}={value}")]

    def _require_same_version(self) -> None:
        try:
            written = (self.data / "PG_VERSION").read_text().strip()
        except OSError:
            raise DatabaseError(f"{self.data}: holds no PostgreSQL cluster") from None
        if written != str(major()):
            raise DatabaseError(
                f"{self.folder}: written by PostgreSQL {written}, but {binaries()} holds PostgreSQL {major()}",
                next_step=f"install PostgreSQL {written}, or remove {self.folder} (its data is lost)",
            )

    def _clear_remains(self) -> None:
        """The lock is free, so nothing of an earlier server lives: what it left would only mislead the next one."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for left in self._socket_folder().glob(".s.PGSQL.*"):
            left.unlink(missing_ok=True)

    def _socket_folder(self) -> Path:
        folder = self._home() / "run"
        if not folder.is_dir():
            # Others may pass through it, as through a mount into a container: the password is what keeps them out.
            folder.mkdir(parents=True, mode=0o700)
            folder.chmod(0o711)
            self._give_away(folder)
        return sockets.reachable(self._home(), len("run/") + _SOCKET_NAME) / "run"

    def _home(self) -> Path:
        """Where the account can reach its files: our folder, or, for another user, one below /var/tmp."""
        if self._account.owner is None:
            return self.folder
        return accounts.shared_folder(self.folder)

    def _program(self, name: str) -> Path:
        file = tool(name)
        if self._account.owner is None or self._account.can_enter(binaries()):
            return file
        return accounts.copied_programs(binaries()) / name

    def _give_away(self, *paths: Path) -> None:
        """Makes the account the owner of files; in a namespace or for ourselves there is nothing to do."""
        if self._account.owner is None:
            return
        for path in paths:
            for entry in (path, *path.rglob("*")):
                os.chown(entry, *self._account.owner, follow_symlinks=False)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Cluster]:
    """A running private server below ``folder`` (socket only, nothing durable); gone afterwards, with all its files.

    The first call keeps an empty cluster there as a template, later ones copy it.
    """
    _private(folder)
    with _exclusive(folder):
        template = Cluster(folder / f"template-{major()}", durable=False)
        template.init()
    with reserved(folder) as cluster:
        try:
            _copy(template, cluster)
        except OSError as fault:
            free = shutil.disk_usage(folder).free // 2**20
            raise DatabaseError(
                f"{folder}: no private server could be made: {fault.strerror or 'not every file could be copied'} "
                f"({free} MB free)"
            ) from None
        cluster.start()
        yield cluster


@contextlib.contextmanager
def reserved(folder: Path) -> Iterator[Cluster]:
    """A place for a private server below ``folder``: the block fills its data folder and starts it. Gone afterwards.

    Remains of a killed gate are removed.
    """
    _private(folder)
    with _exclusive(folder):
        _sweep(folder)
        place = Path(tempfile.mkdtemp(dir=folder, prefix="scratch-"))
        owner = _lock(place / "owner.lock")
    cluster = Cluster(place / "pg", durable=False)
    try:
        _private(cluster.folder)
        yield cluster
    finally:
        cluster.remove()
        _clear(place)
        os.close(owner)


def sweep(folder: Path) -> None:
    """Stops and removes private servers below ``folder`` whose gate is gone."""
    if folder.is_dir():
        with _exclusive(folder):
            _sweep(folder)


def _sweep(folder: Path) -> None:
    for place in folder.glob("scratch-*"):
        owner = os.open(place / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not flock.exclusive(owner):
            os.close(owner)
            continue
        Cluster(place / "pg", durable=False).remove()
        _clear(place)
        os.close(owner)


def _clear(place: Path) -> None:
    """Removes a place with all that was started in it: an application is rehearsed beside its database."""
    (place / "owner.lock").unlink(missing_ok=True)  # ours, and no process of its own
    end_all(place)
    shutil.rmtree(place, ignore_errors=True)


def _copy(template: Cluster, cluster: Cluster) -> None:
    shutil.copytree(template.data, cluster.data)
    shutil.copy2(template.folder / "password", cluster.folder / "password")


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    descriptor = _lock(folder / "scratch.lock")
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(file: Path) -> int:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    flock.exclusive(descriptor, wait=True)
    return descriptor


def _private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)


def _environment() -> dict[str, str]:
    """What a server needs to know of us; its time zone and language do not depend on who started it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
