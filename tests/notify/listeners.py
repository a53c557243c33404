"""Servers on loopback that are told things, and answer as a test wants: HTTP and SMTP."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Heard:
    """What a server was told so far: for each time, the headers and the body."""

    port: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/T0KEN-of-the-hook-1"


@contextmanager
def http(*answers: int | str) -> Iterator[Heard]:
    """Answers each request with the next status, the last one again and again; "never": not at all; "garbage": with
    bytes that are no HTTP; "429 0.2": 429 and to come again after so many seconds, rounded up."""
    heard, release = Heard(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = answers[min(len(heard.requests), len(answers) - 1)]
            heard.requests.append((dict(self.headers.items()), body))
            heard.arrived.set()
            if answer == "never":
                release.wait(30)
            elif answer == "garbage":
                self.wfile.write(b"\x00\xff garbage\r\n\r\n" * 3)
            else:
                status, _, later = str(answer).partition(" ")
                self.send_response(int(status))
                if later:
                    self.send_header("Retry-After", later)
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            """Clients that leave are what is tested."""

    with Server(("127.0.0.1", 0), Handler) as server:
        heard.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            release.set()
            server.shutdown()


@contextmanager
def smtp(*answers: str) -> Iterator[Heard]:
    """Takes mail; answers each message's end with the next of ``answers``, such as 250, 451 or 554."""
    heard = Heard()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            for raw in self.rfile:
                word = raw.decode().strip().upper()
                if word == "DATA":
                    self._say("354 go on")
                    lines = []
                    while (line := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(line)
                    answer = answers[min(len(heard.requests), len(answers) - 1)]
                    heard.requests.append(({}, b"".join(lines)))
                    heard.arrived.set()
                    self._say(f"{answer} done")
                elif word == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 fine")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        heard.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield heard
        finally:
            server.shutdown()


def nobody() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
