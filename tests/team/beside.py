"""What a team with a load balancer has: releases side by side, each on a port of its own, and a share for the new one.

    beside.py deploy VERSION INSTANCE | promote INSTANCE PERCENT | stop INSTANCE | health INSTANCE | serves
    beside.py balance                    the load balancer itself, on PORT

``run/state.json`` holds what is where: ports, pids and versions by instance, who is stable, who the canary, its share.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUN = HERE / "run"
STATE = RUN / "state.json"


def read() -> dict[str, Any]:
    empty: dict[str, Any] = {"ports": {}, "pids": {}, "versions": {}, "stable": "", "canary": "", "percent": 0.0}
    return json.loads(STATE.read_text()) if STATE.exists() else empty


def write(state: dict[str, Any]) -> None:
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(state))
    new.replace(STATE)


def deploy(version: str, instance: str) -> None:
    state = read()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (RUN / f"{version}.log").open("a") as log:
        argv = [sys.executable, str(HERE / "releases" / version / "app.py"), str(port), "/dev/null"]
        started = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    state["ports"][instance], state["pids"][instance] = port, started.pid
    state["versions"][instance] = version
    write(state)


def promote(instance: str, percent: float) -> None:
    state = read()
    if percent >= 100:
        state |= {"stable": instance, "canary": "", "percent": 0.0}
    else:
        state |= {"canary": instance, "percent": percent}
    write(state)


def stop(instance: str) -> None:
    state = read()
    if instance not in state["pids"]:
        return
    with suppress(ProcessLookupError):
        os.kill(state["pids"][instance], signal.SIGTERM)
    for table in ("ports", "pids", "versions"):
        state[table].pop(instance)
    write(state)


def health(instance: str) -> int:
    state = read()
    if instance not in state["pids"] or not Path(f"/proc/{state['pids'][instance]}").exists():
        print("it has ended")
        return 3
    try:
        with socket.create_connection(("127.0.0.1", state["ports"][instance]), timeout=2):
            return 0
    except OSError:
        print("it does not listen")
        return 1


class Balancer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        began, state = time.time(), read()
        share = random.random() * 100 < state["percent"]
        instance = self.headers.get("X-Instance") or (state["canary"] if share and state["canary"] else state["stable"])
        try:
            link = http.client.HTTPConnection("127.0.0.1", state["ports"][instance], timeout=5)
            link.request("GET", self.path)
            answer = link.getresponse()
            status, body = answer.status, answer.read()
        except (OSError, KeyError, http.client.HTTPException):
            status, body = 502, b"{}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        line = {
            "ts": time.time(),
            "duration": time.time() - began,
            "status": status,
            "request": {"method": "GET", "uri": self.path},
            "release": instance,
        }
        if "X-Instance" not in self.headers:
            with (RUN / "requests.log").open("a") as log:
                log.write(json.dumps(line) + "\n")

    def log_message(self, *_: object) -> None:
        """Only errors are told."""


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # whoever finds no room comes again after a second


def main(words: list[str]) -> int:
    RUN.mkdir(exist_ok=True)
    what, rest = words[0], words[1:]
    if what == "deploy":
        deploy(*rest)
    elif what == "promote":
        promote(rest[0], float(rest[1]))
    elif what == "stop":
        stop(*rest)
    elif what == "health":
        return health(*rest)
    elif what == "serves":
        print(read()["stable"])
    elif what == "balance":
        Server(("127.0.0.1", int(os.environ["PORT"])), Balancer).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
