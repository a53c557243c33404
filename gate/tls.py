"""TLS at the front door: the proxy's certificates, and the plain door on loopback for the gate's own requests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gate.config import Environment
from gate.errors import ConfigError
from gate.redact import Secret

TOKEN_HEADER = "X-Gate-Token"  # noqa: S105 - the header's name

Table = dict[str, Any]


def apps(environment: Environment, plain: Table, private: list[Table], token: Secret) -> Table:
    """The proxy's applications for a server that would serve ``plain`` HTTP. Raises ConfigError for unfit files.

    With TLS there are two: the front door, and one on loopback with the ``private`` routes, for whoever has the token.
    """
    tls = environment.traffic.tls
    if tls is None:
        return {"http": {"servers": {"gate": plain}}}
    front = plain | {"protocols": ["h1", "h2"], "tls_connection_policies": [{}]}
    known = {"header": {TOKEN_HEADER: [token.reveal()]}}
    refused = {
        "match": [{"not": [known]}],
        "handle": [{"handler": "static_response", "status_code": 403}],
        "terminal": True,
    }
    probes = plain | {"listen": [tls.probes], "routes": [refused, *private]}
    return {
        "http": {"servers": {"gate": front, "probes": probes}},
        "tls": {"certificates": _certificates(environment), **_automation(environment)},
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


def _certificates(environment: Environment) -> Table:
    tls = environment.traffic.tls
    assert tls is not None  # noqa: S101 - apps() asked
    if tls.certificate is None or tls.key is None:
        return {"automate": [_name(environment)]}
    files, digest = {}, hashlib.sha256()
    for key, name in (("certificate", tls.certificate), ("key", tls.key)):
        file = environment.root / name
        try:
            digest.update(file.read_bytes())
        except OSError as fault:
            raise ConfigError(
                [f"{environment.file.name}: [traffic.tls] {key}: {file}: {fault.strerror}"],
                next_step=f"edit {environment.file.name}",
            ) from None
        files[key] = str(file)
    # The proxy reads them once. With their fingerprint in it, its configuration changes when they are renewed.
    return {"load_files": [files | {"tags": [digest.hexdigest()]}]}


def _automation(environment: Environment) -> Table:
    tls = environment.traffic.tls
    if tls is None or tls.issuer is None:
        return {}
    return {"automation": {"policies": [{"subjects": [_name(environment)], "issuers": [{"module": tls.issuer}]}]}}


def _name(environment: Environment) -> str:
    return urlsplit(environment.app.url).hostname or ""
