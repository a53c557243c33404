"""What libraries and threads say by themselves holds no secret either, though nobody redacts it for them."""

from __future__ import annotations

import io
import logging
import socketserver
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from gate.commands import keeper
from gate.environments import load
from gate.publish.attempts import Client
from gate.records.store import Store
from gate.redact import Redactor
from gate.results import Outcome
from gate.terminal import strays
from tests.commands.little import ENVIRONMENT

KEY = "T0KEN'of the-hook"


def test_a_library_that_logs_the_address_of_a_hook() -> None:
    """urllib3 warns of a header that is none, with all of the address."""

    class Broken(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno header at all\r\n\r\n")

    said: list[str] = []
    with strays.heard(said.append) as heard, socketserver.ThreadingTCPServer(("127.0.0.1", 0), Broken) as server:
        heard.redact = Redactor([KEY])
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        Client(20).send("GET", f"http://127.0.0.1:{server.server_address[1]}/hook/T0KEN%27of%20the-hook")
        server.shutdown()
    assert "/hook/[redacted]" in "".join(said)
    assert "of%20the" not in "".join(said)


def test_a_thread_that_dies_a_warning_and_a_message_that_cannot_be_put_together() -> None:
    said: list[str] = []

    def die() -> None:
        raise ValueError(f"no such key: {KEY}") from KeyError(KEY)

    with strays.heard(said.append) as heard:
        heard.redact = Redactor([KEY])
        thread = threading.Thread(target=die, name="watching")
        thread.start()
        thread.join()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn(f"{KEY} is old", stacklevel=1)
        heard.handle(logging.LogRecord("shop", logging.WARNING, __file__, 1, "%d keys", (KEY,), None))
        logging.getLogger("shop").error("the key is %r", KEY)
    whole = "".join(said)
    assert "the thread 'watching' died" in whole
    assert "shop: a message that cannot be put together: TypeError" in whole
    assert 'the key is "[redacted]"' in whole
    assert "[redacted] is old" in whole
    assert "of the-hook" not in whole


def test_what_the_keeper_of_a_held_deployment_dies_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody runs it by hand; its log is read when it is gone."""
    hook = f"https://hooks.example/{KEY.replace(' ', '-')}"
    monkeypatch.setenv("HOOK", hook)
    target = '[notify.targets.team]\nkind = "slack"\nurl = "${HOOK}"\n'
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "local.toml").write_text(ENVIRONMENT.format(port=8080) + target)
    store = Store.of(load("local", tmp_path))
    facts: dict[str, Any] = {"action": "deploy", "version": "1.1.0", "digest": "d", "commit": None, "folder": "f"}
    number = store.begin(**facts, stable_version=None, stable_instance=None, by="bob@ci")
    store.write(number, "smoke", "held", {"reasons": [], "share": 0.0})
    store.end(number, Outcome.HELD, [], cases=1, checks=1, report=None)
    log = io.StringIO()
    assert keeper.main(["local", str(tmp_path), hook], log) == 4  # as its number: it says what is none
    assert "ValueError: invalid literal" in log.getvalue()
    assert "hooks.example" not in log.getvalue()


def test_nothing_of_it_stays_behind() -> None:
    before = logging.getLogger().handlers[:], threading.excepthook
    with strays.heard(lambda _: None):
        assert threading.excepthook is not before[1]
    assert (logging.getLogger().handlers, threading.excepthook) == before
