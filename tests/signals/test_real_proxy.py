"""The proxy's real log, with its real rotation, and the logs of a real service."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gate.live.observations import Requests, Role
from gate.machine.shell import wait_until
from gate.signals.access_log import AccessLog
from tests.engine.site import Site, free_port, site, web


@pytest.fixture(scope="module")
def here() -> Iterator[Site]:
    port = free_port()
    command = ["{python}", "-m", "uvicorn", "app:app", "--uds", "{socket}", "--log-level", "info"]
    service = web(command=command)
    changes: dict[str, Any] = {
        "app": {"name": "tiny", "url": f"http://127.0.0.1:{port}"},
        "traffic": {"listen": f"127.0.0.1:{port}", "try_duration": "300ms"},
        "services": {"web": service},
    }
    with site(**changes) as made:
        made.serve("1.0.0", "r1")
        made.start(made.release("1.1.0"), "r2")
        yield made


def follow(here: Site) -> AccessLog:
    roles = {"r1": Role.STABLE, "r2": Role.CANDIDATE}
    return AccessLog(here.traffic.access_log, roles, time.time(), {"/health", "/ready", "/version"})


def read_until(requests: AccessLog, many: int) -> list[Requests]:
    rows: list[Requests] = []

    def enough() -> bool:
        rows.extend(row for row in requests.read() if isinstance(row, Requests))
        return sum(row.count + row.gone for row in rows) + len(requests.unanswered) >= many

    assert wait_until(enough, timeout=20, every=0.02), rows
    return rows


def test_who_answered_who_left_and_who_was_a_probe(here: Site) -> None:
    requests = follow(here)
    candidate = here.engine.find("r2")
    assert candidate is not None
    here.get("/page?q=1")
    here.probe(candidate, "/page")
    here.probe(candidate, "/version")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{here.environment.app.url}/slow/5", timeout=0.2, trust_env=False)
    here.engine.promote(candidate, 1.0)
    here.get("/page")
    stable = here.engine.find("r1")
    assert stable is not None
    here.engine.promote(stable)
    rows = read_until(requests, 4)
    assert sorted((row.role, row.route, row.count, row.errors, row.gone, row.synthetic) for row in rows) == [
        (Role.CANDIDATE, "GET /page", 1, 0, 0, False),
        (Role.CANDIDATE, "GET /page", 1, 0, 0, True),
        (Role.STABLE, "GET /page", 1, 0, 0, False),
        (Role.STABLE, "other", 0, 0, 1, False),
    ]
    assert requests.lines >= 4


def test_a_request_that_nobody_is_there_for(here: Site) -> None:
    requests = follow(here)
    here.engine.withdraw()
    assert here.get("/page").status_code == 502
    stable = here.engine.find("r1")
    assert stable is not None
    here.engine.promote(stable)
    assert read_until(requests, 1) == []
    assert len(requests.unanswered) == 1
    around = requests.around(requests.unanswered[0], before=1, after=1)
    assert (around.attempted, around.failed) == (1, 1)


def test_a_request_whose_instance_is_dead_is_that_instances_error(here: Site) -> None:
    dead = here.start(here.release("1.2.0"), "r3")
    requests = AccessLog(here.traffic.access_log, {"r3": Role.CANDIDATE}, time.time())
    stable = here.engine.find("r1")
    assert stable is not None
    here.engine.promote(dead)
    here.engine.stop(dead, grace=0)
    assert here.get("/page").status_code == 502
    here.engine.promote(stable)
    (row,) = read_until(requests, 1)
    assert (row.role, row.count, row.errors) == (Role.CANDIDATE, 1, 1)
    assert row.milliseconds[0][0] >= 300, "it was held"


def test_an_answer_that_breaks_off_is_counted_apart(here: Site) -> None:
    place = here.traffic.socket("r9", "web")
    place.parent.mkdir()
    requests = follow(here)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        dying = threading.Thread(target=break_off, args=(server,))
        dying.start()
        here.traffic.set_stable("r9")
        with pytest.raises(httpx.RemoteProtocolError):
            here.get("/page")
        here.traffic.set_stable("r1")
        dying.join()
    assert wait_until(lambda: bool(requests.read() or requests.cut_off), timeout=10)
    assert (len(requests.cut_off), requests.unanswered) == (1, [])


def break_off(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def test_nothing_is_lost_while_the_proxy_rotates_its_log(here: Site) -> None:
    config = json.loads(here.proxy._config().read_text())
    config["logging"]["logs"]["access"]["writer"]["roll_size_mb"] = 1
    here.proxy.down()
    here.proxy._start(json.dumps(config))
    requests = follow(here)
    clients, each = 2, 400
    long = "x" * 6000

    def ask(number: int) -> None:
        with httpx.Client(base_url=here.environment.app.url, timeout=20, trust_env=False) as client:
            for _ in range(each):
                client.get(f"/client/{number}/{long}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    rows = read_until(requests, clients * each // 2)
    for thread in threads:
        thread.join()  # several rotations pass unread meanwhile
    rows += read_until(requests, clients * each - sum(row.count for row in rows))
    assert sum(row.count for row in rows) == clients * each
    assert {(row.role, row.route) for row in rows} == {(Role.STABLE, "GET /client/{id}/{id}")}
    rotated = [file for file in Path(here.traffic.folder).iterdir() if file.name.startswith("access-")]
    assert len(rotated) >= 3
    assert (requests.malformed, requests.strangers) == (0, 0)


def test_the_lines_of_a_service_are_followed_free_of_secrets(here: Site) -> None:
    candidate = here.engine.find("r2")
    assert candidate is not None
    lines = here.engine.follow(candidate)
    assert lines() == []
    here.probe(candidate, "/page?from=postgresql://shop:hunter2@127.0.0.1/shop")
    found: list[tuple[str, str]] = []

    def told() -> bool:
        found.extend(lines())
        return bool(found)

    assert wait_until(told, timeout=10)
    assert found[0][0] == "web"
    assert "postgresql://shop:[redacted]@" in found[0][1]
