"""Requests and the process engine: who answers them, who may choose, and that none is lost."""

from __future__ import annotations

import threading

import httpx
import pytest

from gate.machine.shell import wait_until
from gate.routing.tls import TOKEN_HEADER
from gate.routing.traffic import DIAL_HEADER
from tests.engine.site import Site, kill, site, web


def test_a_probe_reaches_the_candidate_and_no_other(here: Site) -> None:
    here.serve("1.0.0", "r1")
    candidate = here.start(here.release("1.1.0"), "r2")
    answer = here.probe(candidate).json()
    assert answer["version"] == "1.1.0"
    assert not [name for name in answer["headers"] if name.startswith("x-gate")]
    assert here.get().json()["version"] == "1.0.0"
    assert [line.get("probe") for line in here.log()] == ["yes", None]
    kill(here, "r2")
    assert here.probe(candidate).status_code == 502


@pytest.mark.parametrize(
    "dial",
    [
        "",
        "r1",
        "unix/{rel}/../rel/r1/web.sock",
        "unix/{rel}/R1/web.sock",
        "unix/{rel}/r1y/web.sock",
        "unix/{rel}/r1/worker.sock",
        "unix//run/docker.sock",
        "unix//run/docker/r1/web.sock",
        "tcp/127.0.0.1:22",
        "tcp/127.192.0.1:22",
        "tcp/192.168.0.1:80",
        "127.64.0.1",
    ],
)
def test_a_probe_can_name_nothing_but_an_instance(here: Site, dial: str) -> None:
    here.serve("1.0.0", "r1")
    token = here.traffic.token().reveal()
    named = dial.replace("{rel}", str(here.traffic.base() / "rel"))
    answer = here.get(headers={TOKEN_HEADER: token, f"{DIAL_HEADER}web": named}).json()
    assert answer["version"] == "1.0.0"
    assert not [header for header in answer["headers"] if header.startswith("x-gate")]


def test_without_the_token_nobody_chooses_an_instance_and_the_token_is_in_no_log(here: Site) -> None:
    here.serve("1.0.0", "r1")
    here.start(here.release("1.1.0"), "r2")
    for token in ("", "guess", here.traffic.token().reveal()[:-1]):
        assert here.get(headers=here.traffic.probe_headers("r2") | {TOKEN_HEADER: token}).json()["version"] == "1.0.0"
    secret = here.traffic.token().reveal()
    here.get(
        "/version?password=hunter2",
        headers={**here.traffic.probe_headers("r9"), "Authorization": "Basic hunter3"},
    )
    for log in (here.traffic.access_log, here.proxy.process.log):
        text = log.read_text()
        assert secret not in text
        assert "hunter" not in text


def test_the_access_log_names_the_instance_that_answered(here: Site) -> None:
    here.serve("1.0.0", "r1")
    here.get("/some/path")
    [line] = here.log()
    assert line["upstream"].endswith("/rel/r1/web.sock")
    assert (line["service"], line["status"], line["request"]["uri"]) == ("web", 200, "/some/path")


def test_a_drain_waits_for_a_slow_request_and_the_request_is_answered(here: Site) -> None:
    old = here.serve("1.0.0", "r1")
    new = here.start(here.release("1.1.0"), "r2")
    answers: list[httpx.Response] = []
    slow = threading.Thread(target=lambda: answers.append(here.get("/slow/1.5")))
    slow.start()
    assert wait_until(lambda: here.engine._in_flight(old) == 1, timeout=5)
    here.engine.promote(new)
    assert here.get().json()["version"] == "1.1.0"
    hurried = here.engine.drain(old, timeout=0.2)
    assert (hurried.complete, hurried.left) == (False, 1)
    drained = here.engine.drain(old, timeout=10)
    assert drained.complete
    assert drained.left == 0
    here.engine.stop(old)
    slow.join()
    assert [answer.json()["version"] for answer in answers] == ["1.0.0"]


def test_a_drain_without_a_counter_goes_by_the_connections() -> None:
    service = web()
    del service["in_flight"]
    with site(services={"web": service}) as here:
        old = here.serve("1.0.0", "r1")
        new = here.start(here.release("1.1.0"), "r2")
        slow = threading.Thread(target=lambda: here.get("/slow/1"))
        slow.start()
        assert wait_until(lambda: here.engine._in_flight(old) == 1, timeout=5)
        here.engine.promote(new)
        assert here.engine.drain(old, timeout=0.2).left == 1
        assert here.engine.drain(old, timeout=10).complete
        slow.join()


def test_requests_are_held_while_nobody_serves(here: Site) -> None:
    instance = here.serve("1.0.0", "r1")
    here.engine.withdraw()
    assert here.engine.stable() is None
    answers: list[httpx.Response] = []
    body, url = b"x" * 5_000_000, f"{here.environment.app.url}/upload"
    waiting = threading.Thread(target=lambda: answers.append(httpx.post(url, content=body, timeout=20)))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    here.engine.promote(instance)
    waiting.join(5)
    assert [(answer.status_code, answer.json()["bytes"]) for answer in answers] == [(200, len(body))]


def test_a_canary_takes_its_share_and_a_dead_one_costs_nothing(here: Site) -> None:
    here.serve("1.0.0", "r1")
    candidate = here.start(here.release("1.1.0"), "r2")
    here.engine.promote(candidate, 0.5)
    with httpx.Client(base_url=here.environment.app.url, timeout=20) as client:
        versions = [client.get("/version").json()["version"] for _ in range(200)]
        assert 60 < versions.count("1.1.0") < 140  # 6 sigma
        kill(here, "r2")
        assert {client.get("/version").status_code for _ in range(50)} == {200}
    here.engine.stop(candidate)
    assert here.traffic.canary() is None


def test_a_post_that_reached_a_release_is_never_sent_to_another(here: Site) -> None:
    here.serve("1.0.0", "r1")
    candidate = here.start(here.release("1.1.0", "dies-after-writing"), "r2")
    here.engine.promote(candidate, 0.999999)
    assert httpx.post(f"{here.environment.app.url}/orders", content=b"once", timeout=20).status_code == 502
    assert (here.environment.state_folder / "orders").read_text().split() == ["once"]
    again = httpx.post(
        f"{here.environment.app.url}/orders", content=b"twice", timeout=20
    )  # nobody to send it to but r1
    assert again.json()["version"] == "1.0.0"
