"""How long a manager that cannot tell is waited for: an engine's socket that answers, or does not, as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest

from gate.config import DockerSettings, SwarmSettings
from gate.containers.client import Silent
from gate.containers.meter import StatsMeter
from gate.containers.swarm import Manager
from gate.errors import EngineError
from tests.engine.site import folder


class Socket(ThreadingUnixStreamServer):
    """Answers everything with one status."""

    daemon_threads = True
    status = 200
    asked = 0


class _Answer(BaseHTTPRequestHandler):
    server: Socket

    def do_GET(self) -> None:
        self.server.asked += 1
        told = json.dumps(
            {"ApiVersion": "1.41", "Version": "20.10"} if self.server.status == 200 else {"message": "no"}
        )
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, *_: object) -> None:
        """Only errors are told."""

    def address_string(self) -> str:
        return "a socket"


@pytest.fixture
def engine() -> Iterator[tuple[Socket, Path]]:
    with folder() as place, Socket(str(place / "d.sock"), _Answer) as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield made, place / "d.sock"
        made.shutdown()


def manager(socket: Path, patience: float) -> Manager:
    settings = SwarmSettings.model_validate({"kind": "swarm", "stack": "s", "host": f"unix://{socket}"})
    return Manager(settings, patience=patience)


def test_whoever_begins_is_told_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Silent, match="the Docker engine at unix://"):
        manager(tmp_path / "none", patience=60).version()
    assert time.monotonic() - began < 30


def test_whoever_had_an_answer_waits_for_the_next_one_and_only_once(engine: tuple[Socket, Path]) -> None:
    server, socket = engine
    asked = manager(socket, patience=2.5)
    assert asked.version() == "20.10"
    server.status, server.asked = 500, 0
    with pytest.raises(Silent):
        asked.version()
    assert server.asked > 1
    for _ in range(3):  # what is to be done now has its turn: one look each
        server.asked = 0
        with pytest.raises(Silent):
            asked.version()
        assert server.asked == 1
    server.status = 200
    assert asked.version() == "20.10"


def test_whoever_looks_on_waits_for_nobody(engine: tuple[Socket, Path]) -> None:
    server, socket = engine
    asked = manager(socket, patience=60)
    asked.version()
    server.status, server.asked = 503, 0
    with pytest.raises(Silent):
        asked.nodes(patient=False)
    assert server.asked == 1


def test_a_question_that_is_wrong_is_not_asked_again(engine: tuple[Socket, Path]) -> None:
    server, socket = engine
    asked = manager(socket, patience=60)
    asked.version()
    server.status, server.asked = 406, 0
    with pytest.raises(EngineError) as told:
        asked.nodes()
    assert not isinstance(told.value, Silent)
    assert server.asked == 1


def test_figures_that_are_not_there_are_not_nothing_used(engine: tuple[Socket, Path]) -> None:
    """A busy engine answers without them; 0 would be well below every limit."""
    settings = DockerSettings.model_validate({"kind": "docker", "host": f"unix://{engine[1]}"})
    assert StatsMeter(settings).read({"Id": "made-up", "Name": "made-up"}) is None
