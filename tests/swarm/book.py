"""Where the orders of an application are kept: outside the swarm, as a team's database is; all nodes reach it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Book(ThreadingHTTPServer):
    """Keeps what is put there."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), _Page)
        self.orders: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        return f"{host!s}:{port}"

    def lost(self, acknowledged: list[str]) -> list[str]:
        """Orders that somebody was told are kept, and are not."""
        return [order for order in acknowledged if order not in self.orders]


class _Page(BaseHTTPRequestHandler):
    server: Book

    def do_PUT(self) -> None:
        order = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.lock:
            self.server.orders[order] += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Only errors are told."""


@contextmanager
def book(host: str) -> Iterator[Book]:
    """One that is open while the block runs."""
    made = Book(host)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
