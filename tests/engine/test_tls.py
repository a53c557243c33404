"""TLS at the front door: who is let in where, and that no request of any kind is lost by a switch."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from fixtures.app import client
from gate.errors import ConfigError
from gate.routing import tls
from gate.stack import Stack
from tests.engine import browsing
from tests.engine.site import Site, folder, free_port, read, site, table


def secured(**how: Any) -> dict[str, Any]:
    """Tables of an environment with TLS at its front door."""
    front, probes = free_port(), free_port()
    return {
        "app": {"name": "tiny", "url": f"https://localhost:{front}"},
        "traffic": {"listen": f"127.0.0.1:{front}", "tls": how | {"probes": f"127.0.0.1:{probes}"}},
    }


@pytest.fixture(scope="module")
def here() -> Iterator[Site]:
    """Signed by the proxy's own authority; 1.0.0 serves, 1.1.0 runs beside it."""
    with site(**secured(issuer="internal")) as made:
        made.serve("1.0.0", "r1")
        made.start(made.release("1.1.0"), "r2")
        yield made


def browser(here: Site, *, http2: bool) -> httpx.Client:
    root = tls.authority(here.environment)
    assert root is not None
    return browsing.browser(here.environment.app.url, root, http2=http2)


@pytest.mark.parametrize("http2", [False, True])
def test_switches_lose_no_request(here: Site, http2: bool) -> None:
    browsing.switches_lose_no_request(here, partial(browser, here, http2=http2), "HTTP/2" if http2 else "HTTP/1.1")


@pytest.mark.parametrize("http2", [False, True])
def test_an_upload_and_a_streamed_answer_outlive_a_switch(here: Site, http2: bool) -> None:
    browsing.an_upload_and_a_streamed_answer_outlive_a_switch(here, partial(browser, here, http2=http2))


def test_the_plain_door_is_for_the_gate_alone(here: Site) -> None:
    new, old = browsing.both(here)
    here.engine.promote(old)
    door = here.engine.endpoint(new)
    assert door.url.startswith("http://127.0.0.1:")
    told = client(door).get("/any").json()
    assert (told["version"], told["headers"]["x-forwarded-proto"]) == ("1.1.0", "https")
    assert told["headers"]["x-forwarded-host"] == "localhost"
    assert httpx.get(f"{door.url}/any", trust_env=False).status_code == 403
    assert httpx.get(f"{door.url}/any", headers={"X-Gate-Token": "guess"}, trust_env=False).status_code == 403
    with browser(here, http2=False) as user:
        answer = user.get("/any", headers=dict(door.headers)).json()
    assert answer["version"] == "1.0.0", "at the users' door the token opens nothing"
    assert not [name for name in answer["headers"] if name.startswith("x-gate")]


def test_an_emptied_token_opens_nothing(here: Site) -> None:
    new, _ = browsing.both(here)
    (Path(here.traffic.folder) / "token").write_text("")
    assert here.proxy.up()
    door = here.engine.endpoint(new)
    assert client(door).get("/version").json()["version"] == "1.1.0"
    headers = {**door.headers, "X-Gate-Token": ""}
    assert httpx.get(f"{door.url}/version", headers=headers, trust_env=False).status_code == 403


def test_smoke_tests_at_the_front_door_trust_its_authority(here: Site) -> None:
    assert client(here.engine.endpoint(None)).get("/version").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{here.environment.app.url}/version", trust_env=False)
    (proxy,) = Stack(here.environment).status()
    assert str(tls.authority(here.environment)) in proxy.detail


def test_a_renewed_certificate_is_taken_up(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    browsing.issued(authority, tmp_path)
    tables = secured(certificate=str(tmp_path / "front.pem"), key=str(tmp_path / "front.key"))
    tables["app"]["ca"] = str(tmp_path / "ca.pem")
    with site(**tables) as here:
        here.serve("1.0.0", "r1")
        address = (here.environment.app.url.removeprefix("https://").partition(":")[0], _port(here))
        assert client(here.engine.endpoint(None)).get("/version").json()["version"] == "1.0.0"
        before = ssl.get_server_certificate(address)
        browsing.issued(authority, tmp_path)
        assert here.proxy.up()
        assert not here.proxy.up(), "nothing is loaded twice"
        assert ssl.get_server_certificate(address) != before
        assert client(here.engine.endpoint(None)).get("/version").status_code == 200


def _port(here: Site) -> int:
    return int(here.environment.traffic.listen.rpartition(":")[2])


def test_a_certificate_that_is_not_there_is_a_clear_error() -> None:
    with folder() as root:
        made = Site(read(table(**secured(certificate="no.pem", key="no.key")), root))
        with pytest.raises(ConfigError) as fault:
            made.proxy.check()
    assert "[traffic.tls] certificate" in str(fault.value)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "needs certificate and key"),
        ({"certificate": "a"}, "needs certificate and key"),
        ({"issuer": "acme", "key": "a"}, "must be left out"),
        ({"issuer": "somebody"}, "issuer"),
    ],
)
def test_half_a_setting_is_a_clear_error(how: dict[str, Any], said: str) -> None:
    with folder() as root, pytest.raises(ConfigError, match=said):
        read(table(**secured(**how)), root)


def test_the_gate_needs_a_door_of_its_own() -> None:
    tables = secured(issuer="internal")
    del tables["traffic"]["tls"]["probes"]
    with folder() as root, pytest.raises(ConfigError, match=r"traffic\.tls\.probes: needed"):
        read(table(**tables), root)


def test_users_must_be_told_https() -> None:
    tables = secured(issuer="internal")
    tables["app"]["url"] = tables["app"]["url"].replace("https", "http")
    with folder() as root, pytest.raises(ConfigError, match="is not how users reach"):
        read(table(**tables), root)
