"""Traffic's three files and the proxy configuration built once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.config.parsing import parse
from gate.errors import ConfigError, EngineError
from gate.machine import sockets
from gate.routing.traffic import COOKIE, Traffic, _below, _share
from tests.engine import disk


def traffic(root: Path, url: str = "http://127.0.0.1:18999", sticky: str = "", **services: dict[str, Any]) -> Traffic:
    web = {"command": ["x"], "route": "/", "health": "/health", "identity": "/version#version"}
    table = {
        "app": {"name": "tiny", "url": url},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "services": {"web": web, **{name: web | service for name, service in services.items()}},
        "traffic": {"listen": "127.0.0.1:18999", **({"sticky": sticky} if sticky else {})},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
    }
    return Traffic(parse(table, {}, name="test", file=root / "test.toml", root=root))


def test_nobody_serves_at_first_and_then_who_was_set(tmp_path: Path) -> None:
    here = traffic(tmp_path)
    assert here.stable() is None
    here.prepare()
    assert here.stable() is None
    here.set_stable("r7")
    assert here.stable() == "r7"
    here.set_stable(None)
    assert here.stable() is None


def test_who_was_stable_is_ready_to_be_again(tmp_path: Path) -> None:
    here = traffic(tmp_path)
    for name in ("r1", "r2", "r1", "r1", "r3", None, "r3", "r2"):
        before = here.stable()
        here.set_stable(name)
        assert here.stable() == name
        if before != name:
            assert (Path(here.folder) / "stable.back").readlink().name == (before or "nobody")
    assert not list(Path(here.folder).glob("*.new"))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.tiny(tmp_path / "disk", files=60) as place:
        yield place


def test_on_a_full_disk_traffic_goes_back_and_never_on(tiny_disk: Path) -> None:
    here = traffic(tiny_disk)
    here.prepare()
    here.set_stable("r1")
    here.set_canary("r2", 0.5)
    here.set_stable("r2")
    here.set_canary("r3", 0.5)
    with disk.no_more_files(tiny_disk):
        with pytest.raises(EngineError, match=r"cannot be written") as caught:
            here.set_stable("r3")
        assert caught.value.next_step == "free some disk space"
        assert here.stable() == "r2"
        here.set_stable("r1")
        assert here.canary() is None
        here.set_stable("r1")  # recover does it again
        assert here.stable() == "r1"
        assert not list(Path(here.folder).glob("*.new"))
    here.set_canary("r4", 0.25)
    here._write("below", "")  # killed between the two
    disk.fill(tiny_disk)
    with disk.no_more_files(tiny_disk):
        here.clear_canary()
        assert here.canary() is None
        assert here.token().reveal()  # everything a probe and a start need is there
    (tiny_disk / "filler").unlink()
    here.prepare()
    here.set_canary("r5", 0.25)
    assert here.canary() == ("r5", 0.25)


def test_a_canary_has_a_share_until_somebody_is_stable(tmp_path: Path) -> None:
    here = traffic(tmp_path)
    here.set_stable("r1")
    here.set_canary("r2", 0.25)
    assert here.canary() == ("r2", 0.25)
    here.set_canary("r2", 1.0)
    assert here.canary() == ("r2", 1.0)
    here.set_stable("r2")
    assert here.canary() is None


def test_a_new_canary_never_inherits_the_share_of_the_one_before(tmp_path: Path) -> None:
    here = traffic(tmp_path)
    here.set_canary("r2", 0.5)
    seen: list[tuple[str, str]] = []
    write = here._write

    def recorded(name: str, text: str) -> None:
        write(name, text)
        seen.append((here._named("canary"), here._read("below")))

    here._write = recorded  # type: ignore[method-assign]
    here.set_canary("r3x", 0.1)
    assert ("r3x", _below(0.5)) not in seen
    assert seen[-1] == ("r3x", _below(0.1))


@pytest.mark.parametrize("name", ["", "r", "7", "r7/..", "../r7", "r7\n", "R7", "r7y", "nobody", "r1234567890"])
def test_what_is_no_instance_gets_no_traffic(tmp_path: Path, name: str) -> None:
    here = traffic(tmp_path)
    with pytest.raises(EngineError):
        here.set_stable(name)
    with pytest.raises(EngineError):
        here.set_canary(name, 0.5)
    with pytest.raises(EngineError):
        here.socket(name, "web")
    assert here.stable() is None


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_lies_above_nothing_and_is_at_most_everything(tmp_path: Path, share: float) -> None:
    with pytest.raises(EngineError):
        traffic(tmp_path).set_canary("r1", share)


@given(st.floats(min_value=1e-9, max_value=1.0, exclude_max=True))
def test_a_share_survives_its_encoding_and_compares_as_text(share: float) -> None:
    below = _below(share)
    assert abs(_share(below) - share) <= 2**-32
    lowest, highest = "00000000-0000", "ffffffff-ffff"  # ids of requests
    assert lowest < below or share <= 2**-32
    assert highest < _below(1.0)
    assert sorted([below, "", _below(1.0)]) == ["", below, _below(1.0)]


def test_the_configuration_does_not_depend_on_who_serves(tmp_path: Path) -> None:
    here = traffic(tmp_path)
    here.prepare()
    before = json.dumps(here.proxy_config(tmp_path / "admin.sock"))
    here.set_stable("r1")
    here.set_canary("r2", 0.5)
    assert json.dumps(here.proxy_config(tmp_path / "admin.sock")) == before


def inner_routes(here: Traffic) -> list[dict[str, Any]]:
    """What happens to a request, in order."""
    config = here.proxy_config(here.folder / "admin.sock")
    found: list[dict[str, Any]] = config["apps"]["http"]["servers"]["gate"]["routes"][0]["handle"][0]["routes"]
    return found


def test_sticky_adds_to_the_configuration_and_changes_one_comparison(tmp_path: Path) -> None:
    plain, sticky = inner_routes(traffic(tmp_path)), inner_routes(traffic(tmp_path, sticky="cookie"))
    assert COOKIE not in json.dumps(plain)
    assert plain[3]["match"] == [{"expression": "{http.request.uuid} < {http.vars.below}"}]
    assert sticky[6]["match"] == [{"expression": "{http.vars.browser} < {http.vars.below}"}]
    # The probe's route, which ends there, comes before any cookie is looked at.
    assert plain[:3] == sticky[:3]
    assert plain[3]["handle"] == sticky[6]["handle"]
    assert plain[4:] == sticky[7:]


@pytest.mark.parametrize(("url", "secure"), [("http://127.0.0.1:18999", False), ("https://shop.example", True)])
def test_the_cookie_is_secure_where_users_come_over_tls(tmp_path: Path, url: str, secure: bool) -> None:
    [cookie] = inner_routes(traffic(tmp_path, url, "cookie"))[5]["handle"][0]["response"]["add"]["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}={{http.request.uuid}}; Path=/; ")
    assert ("; Secure" in cookie) is secure
    assert {"HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))


def test_longer_routes_are_asked_first(tmp_path: Path) -> None:
    config = traffic(tmp_path, api={"route": "/api"}, admin={"route": "/api/admin/"}).proxy_config(tmp_path / "a")
    routes = config["apps"]["http"]["servers"]["gate"]["routes"]
    assert [route.get("match") for route in routes] == [
        [{"path": ["/api/admin", "/api/admin/*"]}],
        [{"path": ["/api", "/api/*"]}],
        None,
    ]


def test_the_token_is_random_kept_and_private(tmp_path: Path) -> None:
    here = traffic(tmp_path / "one")
    token = here.token()
    assert token == here.token()
    assert len(token.reveal()) >= 32
    assert token != traffic(tmp_path / "two").token()
    assert (Path(here.folder) / "token").stat().st_mode & 0o777 == 0o600
    assert token.reveal() not in repr(here.token())


def test_a_path_the_proxy_would_read_as_a_placeholder_is_refused(tmp_path: Path) -> None:
    here = traffic(tmp_path / "{env.HOME}")
    with pytest.raises(ConfigError, match="for the proxy's sake"):
        here.proxy_config(tmp_path / "admin.sock")


def test_a_deep_project_gets_short_sockets(tmp_path: Path) -> None:
    here = traffic(tmp_path / ("deep" * 30))
    here.prepare()
    socket = here.socket("r123456789x", "sixteen-letters-")
    assert len(str(socket)) <= 107
    socket.parent.mkdir()
    assert (Path(here.folder.parent) / "rel" / "r123456789x").is_dir()
    sockets.forget(Path(here.folder.parent))
    assert not socket.parent.exists()
