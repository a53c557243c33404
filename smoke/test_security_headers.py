"""What every answer tells a browser not to do, and does not tell a stranger."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = pytest.mark.category("Security")

MISSING_PATH = "/no-such-page-for-the-smoke-test"


def test_security_headers(app: Any, services: Any, environment: Any) -> None:
    """Pages, answers and errors all carry the security headers"""
    paths = ["/", MISSING_PATH, *(service.health for service in services.values() if service.route)]
    seen: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        for fault in faults_of(app.get(path), environment.app.url):
            seen.setdefault(fault, []).append(path)
    assert not seen, "; ".join(f"{fault} (GET {', '.join(where)})" for fault, where in seen.items())


def faults_of(answer: Any, url: str) -> list[str]:
    headers = answer.headers
    policy = headers.get("Content-Security-Policy", "")
    directives = {words[0].lower(): words[1:] for words in (part.split() for part in policy.split(";")) if words}
    scripts = directives.get("script-src", directives.get("default-src", ["*"]))
    faults = []
    if not policy:
        faults.append("no Content-Security-Policy")
    elif {"'unsafe-inline'", "*"} & set(scripts):
        faults.append("Content-Security-Policy lets any script run")
    if headers.get("X-Content-Type-Options", "").lower() != "nosniff":
        faults.append("X-Content-Type-Options is not nosniff")
    if "frame-ancestors" not in directives and headers.get("X-Frame-Options", "").upper() not in ("DENY", "SAMEORIGIN"):
        faults.append("any site may frame it (frame-ancestors or X-Frame-Options)")
    if "Referrer-Policy" not in headers:
        faults.append("no Referrer-Policy")
    if url.startswith("https:") and "Strict-Transport-Security" not in headers:
        faults.append("no Strict-Transport-Security")
    faults += [
        f"{name} tells the version: {headers[name]}"
        for name in ("Server", "X-Powered-By")
        if re.search(r"\d", headers.get(name, ""))
    ]
    return faults
