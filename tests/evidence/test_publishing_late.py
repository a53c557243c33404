"""Evidence is published once the lock was given back: a stalled server keeps nobody waiting, and decides nothing."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gate import verify
from gate.commands.changing import Commands
from gate.commands.reporting import Reporting
from gate.config import Environment
from gate.deployment.run import Options
from gate.environments import load
from gate.evidence import afterwards
from gate.records.lock import Lock
from gate.records.store import Store
from gate.results import Outcome
from gate.terminal.terminal import Terminal
from tests.engine.site import Site
from tests.evidence.runs import ENVIRONMENT, made_run

HOUSE = Path(__file__).resolve().parents[2]
# A frozen day: a deployment that is refused at once, and has its evidence.
PUBLISHES = """
[schedule]
freezes = [{{ begins = "2020-01-01", ends = "2999-01-01", reason = "the sales" }}]
[publish]
folder = "published"
timeout = "60s"
[publish.github]
repository = "acme/tiny"
token = "hub-token-of-good-length"
api = "http://127.0.0.1:{port}"
"""
GATE = "import sys; from gate.cli import main; sys.exit(main())"


@dataclass
class Hub:
    """A server that does as a test wants when it is first asked, and then says that it does not know."""

    asked: threading.Event = field(default_factory=threading.Event)
    answer: threading.Event = field(default_factory=threading.Event)
    when_asked: Callable[[], object] = lambda: None
    port: int = 0


@pytest.fixture
def hub() -> Iterator[Hub]:
    with listening() as found:
        yield found


@contextmanager
def listening() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not hub.asked.is_set():
                hub.when_asked()
                hub.asked.set()
            hub.answer.wait(60)
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """Clients that leave are what is tested."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub.port = server.server_address[1]
        yield hub
        hub.answer.set()
        server.shutdown()


@pytest.fixture
def here(tmp_path: Path, hub: Hub) -> Environment:
    file = tmp_path / "environments" / "here.toml"
    for name in ("environments", "checks", "smoke"):
        (tmp_path / name).mkdir()
    file.write_text(ENVIRONMENT + PUBLISHES.format(port=hub.port), encoding="utf-8")
    environment = load("here", tmp_path)
    Site(environment).release("1.0.0")
    return environment


def deploy(here: Environment) -> tuple[Commands, Outcome, str]:
    said = io.StringIO()
    commands = Commands(here, Terminal(said, here.redactor), door="gate", command="gate here")
    answer = commands.deploy("1.0.0", Options(), dry_run=False, confirm=lambda _: True)
    assert answer is commands.answer
    return commands, answer.outcome, "\n".join(answer.document["notes"])


def test_the_lock_is_free_while_a_server_is_slow(here: Environment, hub: Hub) -> None:
    held: list[str | None] = []

    def while_it_waits() -> None:
        held.append(Lock(here).holder())
        with Lock(here).held("rolling back"):  # as a person does meanwhile
            held.append(Store.of(here).deployments(1)[0].outcome)
        hub.answer.set()

    hub.when_asked = while_it_waits
    _, outcome, notes = deploy(here)
    assert held == [None, "REFUSED"]
    assert (outcome, outcome.exit_code) == (Outcome.REFUSED, 3)
    assert "published to folder: " in notes
    assert "not published to github: " in notes
    assert "report publish 1 --to github" in notes


def test_a_person_who_does_not_want_to_wait_ends_the_publishing_alone(here: Environment, hub: Hub) -> None:
    hub.when_asked = lambda: os.kill(os.getpid(), signal.SIGINT)
    _, outcome, notes = deploy(here)
    assert outcome is Outcome.REFUSED
    assert "publishing was interrupted; again: gate here report publish 1" in notes
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_killed_while_it_publishes_all_is_decided_and_it_can_be_published_again(here: Environment, hub: Hub) -> None:
    argv = [sys.executable, "-c", GATE, "here", "--version", "1.0.0", "--yes"]
    environ = {**os.environ, "PYTHONPATH": str(HOUSE), "TMPDIR": str(here.root)}  # what it packed stays there
    with subprocess.Popen(argv, cwd=here.root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as gate:
        assert hub.asked.wait(60)
        gate.kill()
    assert Lock(here).holder() is None
    assert [(item.id, item.outcome) for item in Store.of(here).deployments()] == [(1, Outcome.REFUSED)]
    Reporting(here, Terminal(io.StringIO(), here.redactor)).publish(1, ["./elsewhere"])
    assert verify.prove(here.root / "elsewhere" / "here-1.zip").checked.faults == ()


def test_what_is_published_is_what_was_sealed_whatever_somebody_does_to_it_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "environments" / "here.toml"
    file.parent.mkdir()
    file.write_text(ENVIRONMENT + '[publish]\nfolder = "published"\n', encoding="utf-8")
    run = made_run(tmp_path)
    told = afterwards.tell(run, Outcome.ROLLBACK_FAILED, "", "reports/here/1/report.html", lambda _: None)
    found = afterwards.packed(run)
    assert found is not None
    report = run.reports / "report.html"
    before = report.read_bytes()
    report.write_text("recover goes on with it", encoding="utf-8")
    afterwards.publish(run, found, "gate")
    assert verify.prove(tmp_path / "published" / "here-1.zip", expected=told.manifest).checked.faults == ()
    assert (tmp_path / "published" / "here-1.html").read_bytes() == before
    assert not Path(found.scratch.name).exists()
