"""TLS at a front door that is a container on a server: a switch loses no request of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import trustme

from tests.containers.dockered import Dockered
from tests.engine import browsing
from tests.engine.site import free_port
from tests.remote.server import Server, deployed


@pytest.fixture(scope="module")
def here(remote: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockered]:
    """Its certificate is signed by an authority that users know; 1.0.0 serves, 1.1.0 runs beside it."""
    keys, port, authority = tmp_path_factory.mktemp("keys"), free_port(), trustme.CA()
    authority.cert_pem.write_to_path(keys / "ca.pem")
    browsing.issued(authority, keys)
    app = {"name": f"tiny{port}", "url": f"https://localhost:{port}", "ca": str(keys / "ca.pem")}
    tls = {"certificate": str(keys / "front.pem"), "key": str(keys / "front.key")}
    with deployed(remote, app=app, traffic={"listen": f"127.0.0.1:{port}", "tls": tls}) as made:
        made.serve("1.0.0", "r1")
        made.start(made.release("1.1.0"), "r2")
        yield made


def browser(here: Dockered, *, http2: bool) -> httpx.Client:
    assert here.environment.app.ca is not None
    return browsing.browser(here.environment.app.url, Path(here.environment.app.ca), http2=http2)


@pytest.mark.parametrize("http2", [False, True])
def test_switches_lose_no_request(here: Dockered, http2: bool) -> None:
    browsing.switches_lose_no_request(here, partial(browser, here, http2=http2), "HTTP/2" if http2 else "HTTP/1.1")


@pytest.mark.parametrize("http2", [False, True])
def test_an_upload_and_a_streamed_answer_outlive_a_switch(here: Dockered, http2: bool) -> None:
    browsing.an_upload_and_a_streamed_answer_outlive_a_switch(here, partial(browser, here, http2=http2))
