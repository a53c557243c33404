"""Publishing and telling end in time, whatever a server does: one that sends a byte now and then, or never reads."""

from __future__ import annotations

import os
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gate.config.notifying import Email, Occasion, Webhook
from gate.config.publishing import Bucket as BucketSettings
from gate.config.publishing import GithubRelease as Settings
from gate.errors import OperationFailed
from gate.machine import deadline
from gate.notify import targets
from gate.notify.message import Message
from gate.publish.attempts import LARGEST, Again, Client
from gate.publish.bucket import Bucket
from gate.publish.folder import Folder
from gate.publish.github import GithubRelease
from gate.publish.parcel import Parcel
from gate.redact import Secret
from tests.notify.test_notifier import AT

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BEGINNINGS = {
    "the headers": HEAD + b"X-Long: ",
    "the body": HEAD + b"Content-Length: 100000\r\n\r\n",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    "a mail server's greeting": b"220-",
}
DROPS = {"chunks": b"1\r\na\r\n"}
LONGEST = 5.0
"""Seconds after which a wait of less than one has failed: the machine may be busy, and the drops never end."""


@contextmanager
def dripping(where: str) -> Iterator[str]:
    """A server that begins an answer, and then sends a drop of it now and then, for ever. Its host and port."""
    ended = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(BEGINNINGS[where])
            while not ended.wait(0.02):
                try:
                    self.request.sendall(DROPS.get(where, b"a"))
                except OSError:  # nobody listens any more
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            ended.set()
            server.shutdown()


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    files = {"local-7.zip": tmp_path / "a.zip", "local-7.html": tmp_path / "report.html"}
    for file in files.values():
        file.write_bytes(b"x" * 100_000)
    return Parcel("local", 7, "1.1.0", None, files)


@pytest.mark.parametrize("where", ["the headers", "the body", "chunks"])
def test_a_release_is_given_up_in_time_and_asked_for_again_before(where: str, parcel: Parcel) -> None:
    with dripping(where) as host:
        settings = Settings(repository="acme/store", token=Secret("a-token-of-it"), api=f"http://{host}")
        target = GithubRelease(settings, within=3, client=Client(3, question=0.05, pause=lambda _: None))
        began = time.monotonic()
        with pytest.raises(OperationFailed, match=r"release v1\.1\.0: no .*, [2-9] times"):
            target.publish(parcel)
        assert time.monotonic() - began < LONGEST


def test_the_time_is_for_all_files_together(parcel: Parcel) -> None:
    pytest.importorskip("botocore.auth")  # to read it takes its own time
    with dripping("the body") as host:
        url, key, secret = f"http://{host}/evidence", Secret("AKID"), Secret("of-the-bucket")
        target = Bucket(BucketSettings(url=url, access_key=key, secret_key=secret), within=0.4)
        began = time.monotonic()
        for _ in range(2):  # the second finds no time left
            with pytest.raises(OperationFailed, match=r"local-7\.zip: no .*, 1 times"):
                target.publish(parcel)
        assert time.monotonic() - began < LONGEST


def test_an_answer_without_an_end_is_not_kept() -> None:
    class Flood(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(HEAD + b"\r\n")
            try:
                while True:
                    self.request.sendall(bytes(1_000_000))
            except OSError:
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Flood) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with pytest.raises(Again, match=r"an answer of more than \d+ bytes") as fault:
            Client(20).send("GET", f"http://127.0.0.1:{server.server_address[1]}/")
        server.shutdown()
    assert int(str(fault.value).split()[-2]) < LARGEST + 100_000


@pytest.mark.parametrize("where", ["the headers", "the body"])
def test_a_webhook_is_given_up_in_time_and_its_body_is_nobodys(where: str) -> None:
    message = Message(Occasion.ALERT, AT, "production", "shop", "p95 is 4 s")
    with dripping(where) as host:
        target = Webhook(kind="webhook", url=Secret(f"http://{host}/hook"))
        began = time.monotonic()
        if where == "the body":
            targets.tell(target, message, Client(60, question=0.4), 0.4)
        else:
            with pytest.raises(Again, match=r"no whole answer within 0\.4 s"):
                targets.tell(target, message, Client(60, question=0.4), 0.4)
        assert time.monotonic() - began < LONGEST


def test_a_mail_server_is_given_up_in_time() -> None:
    message = Message(Occasion.ALERT, AT, "production", "shop", "p95 is 4 s")
    with dripping("a mail server's greeting") as host:
        name, _, port = host.partition(":")
        target = Email(
            kind="email",
            host=name,
            port=int(port),
            security="none",
            sender="gate@shop.example",
            recipients=["a@shop.example"],
        )
        began = time.monotonic()
        with pytest.raises(Again, match=r"not done within 0\.4 s"):
            targets.tell(target, message, Client(60), 0.1)
        assert time.monotonic() - began < LONGEST


def test_a_folder_that_does_not_answer_is_given_up(parcel: Parcel, tmp_path: Path) -> None:
    """A pipe that nobody writes to is read as long as a mount whose server is gone."""
    os.mkfifo(tmp_path / "pipe.zip")
    stuck = Parcel("local", 7, "1.1.0", None, {"local-7.zip": tmp_path / "pipe.zip"})
    began = time.monotonic()
    with pytest.raises(OperationFailed, match=r"not done within 0\.2 s") as fault:
        Folder(tmp_path / "place", within=0.2).publish(stuck)
    assert "mounted" in str(fault.value.next_step)
    assert time.monotonic() - began < LONGEST
    (tmp_path / "pipe.zip").write_bytes(b"")  # whoever waits may go


def test_what_comes_back_in_time_comes_back_as_it_is() -> None:
    assert deadline.within(5, "asking", lambda: 4) == 4
    with pytest.raises(ValueError, match="invalid literal"):
        deadline.within(5, "asking", lambda: int("no number"))
