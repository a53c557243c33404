"""A team's own application: one file, no framework; ``fault`` beside it says in which way this release is wrong.

    python app.py PORT LOG [HOST [BOOK]]

It writes a line for each request into LOG, as a load balancer would, and its own words to standard output. An order
that is posted is kept at BOOK, HOST:PORT, before it is acknowledged.
"""

import http.client
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
VERSION, FAULT = (HERE / "name").read_text(), (HERE / "fault").read_text()
if FAULT == "crash":
    sys.exit(3)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET(body)

    def do_GET(self, order: bytes | None = None) -> None:
        began = time.time()
        status = 500 if FAULT == "fails" and self.path == "/orders" else 200
        if status == 500:
            print("ERROR: an order failed", flush=True)
        elif order is not None:
            book = http.client.HTTPConnection(sys.argv[4], timeout=5)
            book.request("PUT", "/", order)
            status = 201 if book.getresponse().status == 204 else 503
        body = json.dumps({"version": "9.9.9" if FAULT == "lies" else VERSION}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", VERSION)
        self.end_headers()
        self.wfile.write(body)
        line = {
            "ts": time.time(),
            "duration": time.time() - began,
            "status": status,
            "request": {"method": self.command, "uri": self.path},
            "release": VERSION,
        }
        with Path(sys.argv[2]).open("a") as log:
            log.write(json.dumps(line) + "\n")

    def log_message(self, *_: object) -> None:
        """Only errors are told."""


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # whoever finds no room comes again after a second


Server((sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
