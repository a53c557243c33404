"""What stands before a swarm: asks a manager where the tasks of a service are, and spreads requests over them.

    balancer.py PORT SERVICE LOG SOCKET...

Requests and answers are passed on with their headers. An answer that never came is asked for again elsewhere (an order
has a name, so twice is once); each request is a line in LOG, with the release that answered, and how often one was gone
that had been sent it already (``broken``).
"""

import http.client
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker

PORT, SERVICE, LOG, *SOCKETS = sys.argv[1:]
PATIENCE = 20.0  # seconds for one request
ONE_LINK = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade"}
"""Headers that are about one connection, not about what is said on it."""
backends: list[tuple[str, int]] = []
managers: dict[str, Any] = {}


def look(socket: str) -> list[tuple[str, int]]:
    """Where running tasks listen, on nodes that are not known to be gone, as a manager says."""
    if socket not in managers:
        managers[socket] = docker.APIClient(f"unix://{socket}", version="auto", timeout=5)
    api = managers[socket]
    nodes = {one["ID"]: one["Status"] for one in api.nodes()}
    found = []
    for task in api.tasks(filters={"service": SERVICE, "desired-state": "running"}):
        ports = task["Status"].get("PortStatus", {}).get("Ports", [])
        node = nodes.get(task.get("NodeID", ""), {"State": "down"})
        if task["Status"]["State"] == "running" and ports and node["State"] != "down":
            found.append((str(node["Addr"]), int(ports[0]["PublishedPort"])))
    return found


def looking() -> None:
    while True:
        for socket in SOCKETS:
            try:
                seen = look(socket)
            except Exception:  # noqa: BLE001 - another manager is asked; what was known stays
                managers.pop(socket, None)
                continue
            if seen:
                backends[:] = seen
                break
        time.sleep(0.2)


class Balancer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out in one piece

    def do_POST(self) -> None:
        self.pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - names of the standard library

    def do_GET(self) -> None:
        self.pass_on(None)

    do_HEAD = do_GET  # noqa: N815 - as above

    def pass_on(self, order: bytes | None) -> None:
        began, status, body, release = time.time(), 502, b"{}", ""
        asked = {name: value for name, value in self.headers.items() if name.lower() not in ONE_LINK}
        told: list[tuple[str, str]] = []
        broken = 0
        while status == 502 and time.time() - began < PATIENCE:
            known = list(backends)
            for host, port in random.sample(known, len(known)):
                sent = False
                try:
                    link = http.client.HTTPConnection(host, port, timeout=5)
                    link.request(self.command, self.path, order, asked)
                    sent = True
                    answer = link.getresponse()
                    status, body, release = answer.status, answer.read(), answer.headers.get("X-Release", "")
                    told = [(name, value) for name, value in answer.getheaders() if name.lower() not in ONE_LINK]
                    break
                except (OSError, http.client.HTTPException):
                    broken += sent
                    continue
            if status == 502:
                time.sleep(0.05)  # nobody answered: until somebody does
        self.send_response_only(status)
        for name, value in told:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        line = {
            "ts": time.time(),
            "duration": time.time() - began,
            "status": status,
            "request": {"method": self.command, "uri": self.path},
            "release": release,
            "broken": broken,
        }
        with Path(LOG).open("a") as log:
            log.write(json.dumps(line) + "\n")

    def log_message(self, *_: object) -> None:
        """Only errors are told."""


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # whoever finds no room comes again after a second


threading.Thread(target=looking, daemon=True).start()
Server(("127.0.0.1", int(PORT)), Balancer).serve_forever()
