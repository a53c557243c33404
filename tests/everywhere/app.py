"""The application that is deployed everywhere: one file, no framework; ``fault`` beside it says what is wrong with it.

    python app.py HOST PORT BOOK

An order that is posted is kept at BOOK, HOST:PORT, before it is acknowledged. "a test" is no user's.
"""

import http.client
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
VERSION, FAULT = (HERE / "name").read_text(), (HERE / "fault").read_text()
if FAULT == "crashes":
    sys.exit(3)

LIVES_FOR = 5
"""Orders of users, of ``dies``."""
in_flight, ordered = 0, 0
counting = threading.Lock()
hoard: list[bytes] = []


def kept(order: bytes) -> bool:
    book = http.client.HTTPConnection(sys.argv[3], timeout=30)
    book.request("PUT", "/", order)
    return book.getresponse().status == 204


def burn() -> None:
    """In processes of its own, for threads of one share a processor."""
    for _ in range(4):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            while True:
                pass


def suffered_by_users(number: int) -> int:
    """What a user's order meets before it is kept; the status that it gets instead, or 0."""
    if FAULT == "slow":
        time.sleep(2)
    if FAULT == "logs-errors":
        print("ERROR: an order was odd", flush=True)
    if FAULT == "burns-cpu" and number == 1:
        burn()
    if FAULT == "eats-memory" and number == 1:
        hoard.append(b"x" * 200 * 2**20)
    if FAULT == "dies" and number == LIVES_FOR:
        os._exit(1)
    return 500 if FAULT == "fails-users" else 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        global in_flight, ordered  # noqa: PLW0603
        with counting:
            in_flight += 1
        try:
            order = self.rfile.read(int(self.headers["Content-Length"]))
            status = 500 if FAULT == "refuses-orders" else 0
            if order != b"a test":
                with counting:
                    ordered += 1
                    number = ordered
                status = status or suffered_by_users(number)
            self.answer(status or (201 if kept(order) else 503), {"version": VERSION})
        finally:
            with counting:
                in_flight -= 1

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(200, {"in_flight": in_flight})
        elif self.path == "/ready":
            self.answer(503 if FAULT == "never-ready" else 200, {})
        else:
            self.answer(200, {"version": "9.9.9" if FAULT == "lies" else VERSION})

    def answer(self, status: int, said: dict[str, object]) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", VERSION)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Only errors are told."""


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True
    block_on_close = False


def leave(*_: object) -> None:
    """Takes no more requests, and goes once what is in flight was answered."""
    if FAULT != "ignores-sigterm":
        threading.Thread(target=server.shutdown).start()


server = Server((sys.argv[1], int(sys.argv[2])), Handler)
signal.signal(signal.SIGTERM, leave)
server.serve_forever(poll_interval=0.05)
server.server_close()
while in_flight:
    time.sleep(0.01)
