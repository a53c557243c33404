"""TLS at the front door: the proxy's certificates, and the plain door on loopback for the gate's own requests."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from gate.config import Environment
from gate.errors import ConfigError
from gate.redact import Secret

TOKEN_HEADER = "X-Gate-Token"  # noqa: S105 - the header's name

Table = dict[str, Any]


def apps(
    environment: Environment,
    plain: Table,
    private: list[Table],
    token: Secret,
    *,
    probes: str | None,
    folder: PurePath | None,
) -> Table:
    """The proxy's applications for a server that would serve ``plain`` HTTP. Raises ConfigError for unfit files.

    With ``probes`` there are two: the front door, and one on loopback with the ``private`` routes, for whoever has the
    token. ``folder`` is where certificates lie for a proxy that does not read the project's own files.
    """
    tls = environment.traffic.tls
    front = plain if tls is None else plain | {"protocols": ["h1", "h2"], "tls_connection_policies": [{}]}
    if probes is None:
        return {"http": {"servers": {"gate": front}}}
    known = {"header": {TOKEN_HEADER: [token.reveal()]}}
    refused = {
        "match": [{"not": [known]}],
        "handle": [{"handler": "static_response", "status_code": 403}],
        "terminal": True,
    }
    servers = {"gate": front, "probes": plain | {"listen": [probes], "routes": [refused, *private]}}
    if tls is None:
        return {"http": {"servers": servers}}
    return {
        "http": {"servers": servers},
        "tls": {"certificates": _certificates(environment, folder), **_automation(environment)},
        # The proxy must not change whom this machine trusts.
        "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
    }


def as_users(environment: Environment) -> Table:
    """What makes a request at the plain door look to the application like one of a user."""
    if environment.traffic.tls is None:
        return {}
    told = {"X-Forwarded-Proto": ["https"], "X-Forwarded-Host": [_name(environment)]}
    return {"headers": {"request": {"set": told}}}


def authority(environment: Environment) -> Path | None:
    """The certificate of the private authority that clients of the front door must trust; None for a public one."""
    if environment.app.ca is not None:
        return environment.root / environment.app.ca
    tls = environment.traffic.tls
    if tls is not None and tls.issuer == "internal":
        return environment.state_folder / "stack" / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    return None


def files(environment: Environment) -> dict[str, bytes]:
    """The certificate and its key, where they are files. Raises ConfigError when one cannot be read."""
    tls, found = environment.traffic.tls, {}
    for key, name in (("certificate", tls.certificate), ("key", tls.key)) if tls is not None else ():
        if name is None:
            continue
        file = environment.root / name
        try:
            found[key] = file.read_bytes()
        except OSError as fault:
            raise ConfigError(
                [f"{environment.file.name}: [traffic.tls] {key}: {file}: {fault.strerror}"],
                next_step=f"edit {environment.file.name}",
            ) from None
    return found


def _fingerprint(environment: Environment) -> str:
    return hashlib.sha256(b"".join(files(environment).values())).hexdigest()


def kept(environment: Environment) -> PurePosixPath:
    """Where a proxy that does not read the project's own files finds its certificates, below its folder: those that a
    running one has are never written over."""
    return PurePosixPath("tls", _fingerprint(environment)[:16])


def _certificates(environment: Environment, folder: PurePath | None) -> Table:
    tls = environment.traffic.tls
    assert tls is not None  # noqa: S101 - apps() asked
    if tls.certificate is None or tls.key is None:
        return {"automate": [_name(environment)]}
    places: dict[str, PurePath] = {
        "certificate": environment.root / tls.certificate,
        "key": environment.root / tls.key,
    }
    if folder is not None:
        places = {key: folder / kept(environment) / key for key in places}
    # The proxy reads them once. With their fingerprint in it, its configuration changes when they are renewed.
    held = {key: str(place) for key, place in places.items()}
    return {"load_files": [held | {"tags": [_fingerprint(environment)]}]}


def _automation(environment: Environment) -> Table:
    tls = environment.traffic.tls
    if tls is None or tls.issuer is None:
        return {}
    return {"automation": {"policies": [{"subjects": [_name(environment)], "issuers": [{"module": tls.issuer}]}]}}


def _name(environment: Environment) -> str:
    return urlsplit(environment.app.url).hostname or ""
