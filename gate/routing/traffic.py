"""Which instance traffic reaches: a proxy configuration that never changes, and what it reads for each request.

A changed configuration makes Caddy close idle client connections, and requests are lost with them. So every route reads
per request and per try where to go: ``stable`` and ``canary`` are links to instances' folders ``rel/<instance>``, with
one file ``<service>.dial`` for each service, its address; ``below`` is the canary's share. A switch of all services is
one rename. While ``stable`` leads to nobody who answers, requests are held.

The canary gets the requests whose random id lies below its share. Where traffic is sticky, the browser's id counts,
kept in a cookie: who lies below 10 % lies below 50 % as well, so nobody goes back while the share grows.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path, PurePath
from typing import Any

from gate.config import CommandSettings, DockerSettings, Environment, SwarmSettings
from gate.errors import ConfigError, EngineError
from gate.redact import Secret
from gate.routing import tls
from gate.routing.dial import INSTANCE, ON_PORTS, Address
from gate.routing.place import Damaged, Folder, Place, of
from gate.routing.tls import TOKEN_HEADER

DIAL_HEADER = "X-Gate-Dial-"  # and a service's name; a request has one for each service it may turn out to be for
OPEN_HEADER, ADDRESS_HEADER, ANSWERED_HEADER = "X-Gate-Open", "X-Gate-Address", "X-Gate-Answered"
"""At a server's own door: whether it is open, a service to be asked, and that it was the service who answered."""
COOKIE = "gate_canary"

_BACK = "stable.back"
_NOBODY = "nobody"  # no instance has this name: requests wait for one
_TRY_INTERVAL = "25ms"
_CANARY_PAUSE = "2s"  # a canary that did not answer gets no live traffic for this long
_COOKIE_SECONDS = 24 * 3600  # longer than a canary lasts, and the next one meets other people first
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NANOSECONDS = 1_000_000_000

Table = dict[str, Any]


def request_log(environment: Environment) -> Path:
    """The log of requests: the gate's own proxy's, or what the team's load balancer writes or a command prints."""
    engine = environment.engine
    if isinstance(engine, CommandSettings) and isinstance(engine.requests, list):
        from gate.remote.printed import printed

        return printed(environment, engine, engine.requests)
    if isinstance(engine, CommandSettings | SwarmSettings):
        return environment.root / (engine.requests if isinstance(engine.requests, str) else "no log of requests")
    if isinstance(environment.engine, DockerSettings) and environment.engine.remote:
        from gate.remote.mirror import mirror

        return mirror(environment, environment.engine)
    return Traffic(environment).access_log


class Traffic:
    """Reads and sets where requests go. Every change is atomic and on disk before the call returns."""

    def __init__(self, environment: Environment, place: Place | None = None) -> None:
        self._environment = environment
        self._place: Place = place or of(environment)
        self.folder = self._place.folder / "traffic"
        """As the proxy knows it."""
        self.access_log = environment.state_folder / "traffic" / "access.log"

    def stable(self) -> str | None:
        """The instance that takes traffic, None when nobody does."""
        return self._instance("stable")

    def canary(self) -> tuple[str, float] | None:
        """The instance that takes a share of the traffic beside the stable one, and that share; None without one."""
        name, below = self._instance("canary"), self._read("below")
        return (name, _share(below)) if name is not None and below else None

    def set_stable(self, instance: str | None) -> None:
        """All traffic to one instance, no canary any more; None: requests are held, then answered with 502.

        The way back to who was stable before is one rename: it works on a full disk. Raises EngineError, and traffic
        stays where it is, when the disk is too full to prepare that way.
        """
        wanted, current = _checked(instance) if instance is not None else _NOBODY, self._named("stable")
        if wanted != current:
            self._address(wanted)
            self._replace_stable(current or _NOBODY, wanted)
        self.clear_canary()

    def set_canary(self, instance: str, share: float) -> None:
        """A share of the traffic, above 0 and at most 1, to one instance; the rest stays where it is."""
        if not 0 < share <= 1:
            raise EngineError(f"{instance}: a canary's share lies above 0 and is at most 1, not {share:g}")
        current = self._instance("canary")
        if current not in {None, instance}:
            self.clear_canary()
        self._address(_checked(instance))
        self._link("canary", instance)
        self._write("below", _below(share))

    def clear_canary(self) -> None:
        """No traffic beside the stable instance's."""
        if self._read("below"):
            try:
                self._write("below", "")
            except EngineError:  # a full disk; a file that is not there says the same, and the proxy's log more
                self._place.remove("traffic/below")
        if self._instance("canary") is not None:
            with contextlib.suppress(EngineError):  # a full disk; without a share the name means nothing
                self._link("canary", _NOBODY)

    def prepare(self) -> None:
        """Makes the folders, the files and the token a proxy needs. Keeps what is there."""
        self._place.make()
        for name, first in (("below", ""), ("token", None)):
            held = self._place.read(f"traffic/{name}")
            if held is None or (first is None and not held.strip()):
                self._write(name, secrets.token_urlsafe(32) if first is None else first)
        for name in ("stable", "canary"):
            named = self._instance(name) or _NOBODY
            self._address(named)
            if (
                self._place.target(f"traffic/{name}") is None
            ):  # or a file with the name, of an earlier version of the gate
                self._link(name, named)

    def token(self) -> Secret:
        """The random value a request must carry to reach an instance of its choice."""
        if not self._read("token"):
            self.prepare()
        token = self._read("token")
        here, kept = Folder(self._environment.state_folder), f"traffic/token-{self._place.server.replace(':', '-')}"
        if self._place.server and here.read(kept) != token:
            here.write(kept, token)  # what is read from there is never printed
        return Secret(token)

    def base(self) -> PurePath:
        """The place, by a path that leaves room for sockets' names."""
        return self._place.base

    def socket(self, instance: str, service: str) -> Path:
        """The unix socket of a service of an instance, whether it listens there or on a port."""
        return Path(self.base() / "rel" / _checked(instance) / f"{service}.sock")

    def hang_up(self, instance: str, service: str) -> None:
        """Removes the unix socket of a service that has ended."""
        self._place.remove(f"rel/{_checked(instance)}/{service}.sock")

    def address(self, instance: str, service: str) -> Address:
        """Where a service of an instance listens: what ``listens`` said, else its unix socket."""
        try:
            return Address.parse((self._place.read(_dial(_checked(instance), service)) or "").strip())
        except (Damaged, ValueError):
            return Address(self.socket(instance, service))

    def probe_headers(self, instance: str) -> dict[str, str]:
        """What a request must carry to reach this instance, whatever the traffic says."""
        dials = {DIAL_HEADER + name: str(self.address(instance, name)) for name in self._environment.routed()}
        return {TOKEN_HEADER: self.token().reveal(), **dials}

    def listens(self, instance: str, service: str, address: Address) -> None:
        """Remembers where a service of an instance listens from now on. Raises EngineError."""
        if self.address(instance, service) != address:
            self._place.write(_dial(_checked(instance), service), str(address))

    def proxy_config(self, admin: PurePath, *, remote: str | None = None) -> Table:
        """Caddy's configuration: depends on the environment file and on nothing that a deployment changes.

        ``remote``: the HOST:PORT where a proxy in a container of a server lets the gate in; its log is what it prints.
        Raises ConfigError when the project's path has characters Caddy would take for its own.
        """
        for path in (self.folder, admin):
            if re.search(r"[{}|,\n]", str(path)):
                raise ConfigError([f"{path}: a project's path may not hold any of {{ }} | , for the proxy's sake"])
        routed = sorted(self._environment.routed().items(), key=lambda item: len(item[1].route or ""), reverse=True)
        secure = self._environment.traffic.tls
        door = remote or (secure.probes if secure is not None else None)
        private, public = (
            [self._route(name, service.route or "/", probes=probes) for name, service in routed]
            for probes in (True, door is None)
        )
        if remote is not None:
            private = [_open_door(), _any_service(), *private]
        plain = {
            "listen": [self._environment.traffic.listen],
            "automatic_https": {"disable": True},
            "protocols": ["h1"],
            "read_header_timeout": 10 * _NANOSECONDS,
            "idle_timeout": 300 * _NANOSECONDS,
            "routes": public,
            "logs": {"default_logger_name": "access"},
        }
        return {
            "admin": {"listen": f"unix/{admin}|0200", "config": {"persist": False}},
            "logging": {"logs": self._logs(printed=remote is not None)},
            "apps": tls.apps(
                self._environment,
                plain,
                private,
                self.token(),
                probes=door,
                folder=self._place.folder if remote else None,
            ),
        }

    def _route(self, service: str, prefix: str, *, probes: bool) -> Table:
        """Requests below ``prefix``: ``probes`` to the instance they name, else canary by share, else stable."""
        stable, canary_at = (f"{{file.{self.folder / name / f'{service}.dial'}}}" for name in ("stable", "canary"))
        # Nothing but instances can be named.
        sockets = rf"unix/{re.escape(str(self.base() / 'rel'))}/{INSTANCE.pattern}/{service}\.sock"
        try_for = int(self._environment.traffic.try_duration * _NANOSECONDS)
        held = {"try_duration": try_for, "try_interval": _TRY_INTERVAL}
        probed = {**held, "try_duration": min(try_for, _NANOSECONDS)}
        strip = {"handler": "headers", "request": {"delete": ["X-Gate-*"]}}
        probe = {
            "match": [
                {
                    "header": {TOKEN_HEADER: [self.token().reveal()]},
                    "header_regexp": {DIAL_HEADER + service: {"name": "probe", "pattern": f"^({sockets}|{ON_PORTS})$"}},
                }
            ],
            # No fallback: the answer is this instance's or an error. Users' patience with a full queue, but less of it.
            "handle": [
                {"handler": "log_append", "key": "probe", "value": "yes"},
                strip,
                _proxy(["{http.regexp.probe.0}"], {"load_balancing": probed}, tls.as_users(self._environment)),
            ],
            "terminal": True,
        }
        sticky = self._environment.traffic.sticky == "cookie"
        canary = {
            "match": [{"expression": f"{{http.{'vars.browser' if sticky else 'request.uuid'}}} < {{http.vars.below}}"}],
            "handle": [
                _proxy(
                    [canary_at, stable],
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
            *([probe] if probes else []),
            # A file cannot be compared in an expression, a variable can.
            {"handle": [{"handler": "vars", "below": f"{{file.{self.folder / 'below'}}}"}, strip]},
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

    def _logs(self, *, printed: bool) -> Table:
        """One line a request, for the signals; neither log holds headers or queries: secrets travel in them."""
        fields: Table = {
            "request>headers": {"filter": "delete"},
            "resp_headers": {"filter": "delete"},
            "request>uri": {"filter": "regexp", "regexp": "[?].*", "value": ""},
        }
        encoder = {"format": "filter", "wrap": {"format": "json"}, "fields": fields}
        file: Table = {"output": "stdout"}
        if not printed:
            file = {"output": "file", "filename": str(self.access_log), "mode": "0600"}
            file |= {"roll_size_mb": 50, "roll_keep": 4}
        return {
            "default": {"level": "WARN", "exclude": ["http.log.access"], "encoder": encoder},
            "access": {"include": ["http.log.access"], "writer": file, "encoder": encoder},
        }

    def _instance(self, name: str) -> str | None:
        found = self._named(name)
        return found if INSTANCE.fullmatch(found) else None

    def _named(self, name: str) -> str:
        """What a link leads to: the name of an instance, or nobody; empty where there is neither link nor name."""
        target = self._place.target(f"traffic/{name}")
        return self._read(name) if target is None else target

    def _address(self, name: str) -> None:
        """An address for each service that takes traffic: without one the proxy would not even wait for it."""
        for service in self._environment.routed():
            if self._place.read(_dial(name, service)) is None:
                self._place.write(
                    _dial(name, service), str(Address(Path(self.base() / "rel" / name / f"{service}.sock")))
                )

    def _read(self, name: str) -> str:
        return (self._place.read(f"traffic/{name}") or "").strip()

    def _replace_stable(self, current: str, wanted: str) -> None:
        """One rename. Whoever was stable stays beside it as ``stable.back``, so that going back is one rename too."""
        if self._named(_BACK) != wanted:
            if self._named(_BACK) != current:
                self._link(_BACK, current)
            self._link("stable", wanted)
            return
        self._place.move(f"traffic/{_BACK}", "traffic/stable")
        with contextlib.suppress(EngineError):  # a full disk: the way back to the better release was what mattered
            self._link(_BACK, current)

    def _link(self, name: str, instance: str) -> None:
        """Leads one link to an instance's folder. Raises EngineError, leaving what was there."""
        self._place.link(f"traffic/{name}", f"../rel/{instance}")

    def _write(self, name: str, text: str) -> None:
        self._place.write(f"traffic/{name}", text)


def _dial(name: str, service: str) -> str:
    """The file that holds where a service of an instance listens."""
    return f"rel/{name}/{service}.dial"


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


def _open_door() -> Table:
    """Tells the gate that the proxy answers."""
    return {
        "match": [{"header": {OPEN_HEADER: ["?"]}}],
        "handle": [{"handler": "static_response", "status_code": 204}],
        "terminal": True,
    }


def _any_service() -> Table:
    """Requests of the gate to a service of an instance that is named by its address, whatever its routes are."""
    answered = {"headers": {"response": {"set": {ANSWERED_HEADER: ["yes"]}}}}
    return {
        "match": [{"header_regexp": {ADDRESS_HEADER: {"name": "service", "pattern": f"^({ON_PORTS})$"}}}],
        "handle": [
            {"handler": "log_append", "key": "probe", "value": "yes"},
            {"handler": "headers", "request": {"delete": ["X-Gate-*"]}},
            _proxy(["{http.regexp.service.0}"], answered),
        ],
        "terminal": True,
    }


def _below(share: float) -> str:
    """A share as what the first 8 hex digits of a random request id must lie below; ``g`` is above them all."""
    return "g" if share >= 1 else f"{max(1, int(share * 2**32)):08x}"


def _share(below: str) -> float:
    return 1.0 if below == "g" else int(below, 16) / 2**32


def _checked(instance: str) -> str:
    if not INSTANCE.fullmatch(instance):
        raise EngineError(f"{instance!r} is not the name of an instance, such as r7")
    return instance
