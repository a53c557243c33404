"""Which instance traffic reaches: a proxy configuration that never changes, and three small files that do.

A changed configuration makes Caddy close idle client connections, and requests are lost with them. So every route reads
``stable``, ``canary`` and ``below`` (the canary's share) per request and per try; a switch is one rename. Instances
listen on unix sockets ``rel/<instance>/<service>.sock``. While ``stable`` names nobody who answers, requests are held.

The canary gets the requests whose random id lies below its share. Where traffic is sticky, the browser's id counts,
kept in a cookie: who lies below 10 % lies below 50 % as well, so nobody goes back while the share grows.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from pathlib import Path
from typing import Any

from gate import sockets
from gate.config import Environment
from gate.errors import ConfigError, EngineError
from gate.redact import Secret

INSTANCE = re.compile(r"r[0-9]{1,9}x?")
TOKEN_HEADER = "X-Gate-Token"  # noqa: S105 - the header's name
INSTANCE_HEADER = "X-Gate-Instance"
COOKIE = "gate_canary"

_NOBODY = "nobody"  # no instance has this name: requests wait for one
_SOCKET_ROOM = len("rel/r123456789x/") + 16 + len(".sock")
_TRY_INTERVAL = "25ms"
_CANARY_PAUSE = "2s"  # a canary that did not answer gets no live traffic for this long
_COOKIE_SECONDS = 24 * 3600  # longer than a canary lasts, and the next one meets other people first
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NANOSECONDS = 1_000_000_000

Table = dict[str, Any]


class Traffic:
    """Reads and sets where requests go. Every change is atomic and on disk before the call returns."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.folder = environment.state_folder / "traffic"
        self.access_log = self.folder / "access.log"

    def stable(self) -> str | None:
        """The instance that takes traffic, None when nobody does."""
        return self._instance("stable")

    def canary(self) -> tuple[str, float] | None:
        """The instance that takes a share of the traffic beside the stable one, and that share; None without one."""
        name, below = self._instance("canary"), self._read("below")
        return (name, _share(below)) if name is not None and below else None

    def set_stable(self, instance: str | None) -> None:
        """All traffic to one instance, no canary any more; None: requests are held, then answered with 502.

        The way back to who was stable before needs no space: it works on a full disk. Raises EngineError, and traffic
        stays where it is, when the disk is too full to prepare that way.
        """
        wanted, current = _checked(instance) if instance is not None else _NOBODY, self._read("stable")
        if wanted != current:
            self._replace_stable(current or _NOBODY, wanted)
        self.clear_canary()

    def set_canary(self, instance: str, share: float) -> None:
        """A share of the traffic, above 0 and at most 1, to one instance; the rest stays where it is."""
        if not 0 < share <= 1:
            raise EngineError(f"{instance}: a canary's share lies above 0 and is at most 1, not {share:g}")
        current = self._instance("canary")
        if current not in {None, instance}:
            self.clear_canary()
        self._write("canary", _checked(instance))
        self._write("below", _below(share))

    def clear_canary(self) -> None:
        """No traffic beside the stable instance's."""
        if self._read("below"):
            try:
                self._write("below", "")
            except EngineError:  # a full disk; a file that is not there says the same, and the proxy's log more
                (self.folder / "below").unlink(missing_ok=True)
        if self._instance("canary") is not None:
            with contextlib.suppress(EngineError):  # a full disk; without a share the name means nothing
                self._write("canary", _NOBODY)

    def prepare(self) -> None:
        """Makes the folders, the files and the token a proxy needs. Keeps what is there."""
        for folder in (self.folder, self._environment.state_folder / "rel"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        for name, first in (("stable", _NOBODY), ("canary", _NOBODY), ("below", ""), ("token", None)):
            if not (self.folder / name).exists():
                self._write(name, secrets.token_urlsafe(32) if first is None else first)

    def token(self) -> Secret:
        """The random value a request must carry to reach an instance of its choice."""
        self.prepare()
        return Secret(self._read("token"))

    def base(self) -> Path:
        """The state folder, by a path that leaves room for sockets' names."""
        return sockets.reachable(self._environment.state_folder, _SOCKET_ROOM)

    def socket(self, instance: str, service: str) -> Path:
        """Where a service of an instance listens."""
        return self.base() / "rel" / _checked(instance) / f"{service}.sock"

    def proxy_config(self, admin: Path) -> Table:
        """Caddy's configuration: depends on the environment file and on nothing that a deployment changes.

        Raises ConfigError when the project's path has characters Caddy would take for its own.
        """
        for path in (self.folder, admin):
            if re.search(r"[{}|,\n]", str(path)):
                raise ConfigError([f"{path}: a project's path may not hold any of {{ }} | , for the proxy's sake"])
        routed = sorted(self._environment.routed().items(), key=lambda item: len(item[1].route or ""), reverse=True)
        routes = [self._route(name, service.route or "/") for name, service in routed]
        server = {
            "listen": [self._environment.traffic.listen],
            "automatic_https": {"disable": True},
            "protocols": ["h1"],
            "read_header_timeout": 10 * _NANOSECONDS,
            "idle_timeout": 300 * _NANOSECONDS,
            "routes": routes,
            "logs": {"default_logger_name": "access"},
        }
        return {
            "admin": {"listen": f"unix/{admin}|0200", "config": {"persist": False}},
            "logging": {"logs": self._logs()},
            "apps": {"http": {"servers": {"gate": server}}},
        }

    def _route(self, service: str, prefix: str) -> Table:
        """Requests below ``prefix``: probes to the instance they name, else canary by share, else stable."""
        state = {name: f"{{file.{self.folder / name}}}" for name in ("stable", "canary", "below")}
        stable = self._dial(state["stable"], service)
        try_for = int(self._environment.traffic.try_duration * _NANOSECONDS)
        held = {"try_duration": try_for, "try_interval": _TRY_INTERVAL}
        probed = {**held, "try_duration": min(try_for, _NANOSECONDS)}
        strip = {"handler": "headers", "request": {"delete": ["X-Gate-*"]}}
        probe = {
            "match": [
                {
                    "header": {TOKEN_HEADER: [self.token().reveal()]},
                    "header_regexp": {INSTANCE_HEADER: {"name": "probe", "pattern": f"^{INSTANCE.pattern}$"}},
                }
            ],
            # No fallback: the answer is this instance's or an error. Users' patience with a full queue, but less of it.
            "handle": [
                {"handler": "log_append", "key": "probe", "value": "yes"},
                strip,
                _proxy([self._dial("{http.regexp.probe.0}", service)], {"load_balancing": probed}),
            ],
            "terminal": True,
        }
        sticky = self._environment.traffic.sticky == "cookie"
        canary = {
            "match": [{"expression": f"{{http.{'vars.browser' if sticky else 'request.uuid'}}} < {{http.vars.below}}"}],
            "handle": [
                _proxy(
                    [self._dial(state["canary"], service), stable],
                    {"load_balancing": {**held, "selection_policy": {"policy": "first"}}},
                    {"health_checks": {"passive": {"max_fails": 1, "fail_duration": _CANARY_PAUSE}}},
                )
            ],
            "terminal": True,
        }
        rest = {"handle": [_proxy([stable], {"load_balancing": held})]}
        inner = [
            {
                "handle": [
                    {"handler": "log_append", "key": "service", "value": service},
                    # Set when the request is dialled, so it names who answered.
                    {"handler": "log_append", "key": "upstream", "value": "{http.reverse_proxy.upstream.address}"},
                ]
            },
            probe,
            # A file cannot be compared in an expression, a variable can.
            {"handle": [{"handler": "vars", "below": state["below"]}, strip]},
            *(self._browser() if sticky else []),
            canary,
            rest,
        ]
        paths = {} if prefix == "/" else {"match": [{"path": [prefix.rstrip("/"), f"{prefix.rstrip('/')}/*"]}]}
        return {**paths, "handle": [{"handler": "subroute", "routes": inner}], "terminal": True}

    def _browser(self) -> list[Table]:
        """The variable ``browser``: the id that the cookie holds, else the request's, which then becomes the cookie's.

        It is given only while there is a canary. Whoever makes one up chooses between two releases that both serve.
        """
        secure = "; Secure" if self._environment.app.url.startswith("https:") else ""
        attributes = f"Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}"
        cookie = f"{COOKIE}={{http.request.uuid}}; {attributes}"
        known = {"header_regexp": {"Cookie": {"name": "browser", "pattern": f"(?:^|;) ?{COOKIE}=({_ID})(?:;|$)"}}}
        new = "{http.vars.browser} == {http.request.uuid} && {http.vars.below} != ''"
        return [
            {"handle": [{"handler": "vars", "browser": "{http.request.uuid}"}]},
            {"match": [known], "handle": [{"handler": "vars", "browser": "{http.regexp.browser.1}"}]},
            {
                "match": [{"expression": new}],
                # Beside the application's own cookies, not instead of them.
                "handle": [{"handler": "headers", "response": {"add": {"Set-Cookie": [cookie]}}}],
            },
        ]

    def _dial(self, instance: str, service: str) -> str:
        return f"unix/{self.base() / 'rel'}/{instance}/{service}.sock"

    def _logs(self) -> Table:
        """One line a request, for the signals; neither log holds headers or queries: secrets travel in them."""
        fields: Table = {
            "request>headers": {"filter": "delete"},
            "resp_headers": {"filter": "delete"},
            "request>uri": {"filter": "regexp", "regexp": "[?].*", "value": ""},
        }
        encoder = {"format": "filter", "wrap": {"format": "json"}, "fields": fields}
        file = {"output": "file", "filename": str(self.access_log), "mode": "0600", "roll_size_mb": 50, "roll_keep": 4}
        return {
            "default": {"level": "WARN", "exclude": ["http.log.access"], "encoder": encoder},
            "access": {"include": ["http.log.access"], "writer": file, "encoder": encoder},
        }

    def _instance(self, name: str) -> str | None:
        found = self._read(name)
        return found if INSTANCE.fullmatch(found) else None

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text().strip()
        except FileNotFoundError:
            return ""

    def _replace_stable(self, current: str, wanted: str) -> None:
        """One rename. Whoever was stable stays beside it as ``stable.back``, so that going back is one rename too."""
        back = self.folder / "stable.back"
        if self._read(back.name) != wanted:
            if self._read(back.name) != current:
                self._write(back.name, current)
            self._write("stable", wanted)
            return
        back.replace(self.folder / "stable")
        self._sync()
        with contextlib.suppress(EngineError):  # a full disk: the way back to the better release was what mattered
            self._write(back.name, current)

    def _write(self, name: str, text: str) -> None:
        """Replaces one file. Raises EngineError, leaving what was there, when it cannot be written."""
        file, new = self.folder / name, self.folder / f"{name}.new"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(file)
            self._sync()
        except OSError as fault:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            step = "free some disk space" if fault.errno in {errno.ENOSPC, errno.EDQUOT} else None
            raise EngineError(f"{file}: cannot be written: {fault.strerror}", next_step=step) from None

    def _sync(self) -> None:
        """Makes renames last."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _proxy(upstreams: list[str], *more: Table) -> Table:
    """Bodies are streamed, never buffered; only a request that was never sent, or a GET, is tried again.

    Connections to instances are not kept: an instance that closes one would fail the next, innocent request.
    """
    table: Table = {
        "handler": "reverse_proxy",
        "transport": {"protocol": "http", "keep_alive": {"enabled": False}, "dial_timeout": "2s"},
        "upstreams": [{"dial": dial} for dial in upstreams],
    }
    for part in more:
        table |= part
    return table


def _below(share: float) -> str:
    """A share as what the first 8 hex digits of a random request id must lie below; ``g`` is above them all."""
    return "g" if share >= 1 else f"{max(1, int(share * 2**32)):08x}"


def _share(below: str) -> float:
    return 1.0 if below == "g" else int(below, 16) / 2**32


def _checked(instance: str) -> str:
    if not INSTANCE.fullmatch(instance):
        raise EngineError(f"{instance!r} is not the name of an instance, such as r7")
    return instance
