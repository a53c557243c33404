"""A server on this machine that answers as GitHub's REST API does, release by release and asset by asset.

The answers have the shapes of recorded ones, without the fields that nobody here reads. What it is told to do instead,
next, it does once: ``trouble`` is a list of (method, part of the path, what).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NOT_FOUND = {
    "message": "Not Found",
    "documentation_url": "https://docs.github.com/rest/releases/releases#get-a-release-by-tag-name",
    "status": "404",
}


def exists(resource: str, field_name: str) -> dict[str, Any]:
    return {
        "message": "Validation Failed",
        "errors": [{"resource": resource, "code": "already_exists", "field": field_name}],
        "documentation_url": "https://docs.github.com/rest/releases/releases#create-a-release",
        "status": "422",
    }


@dataclass
class Hub:
    """What the server knows, and what it was asked."""

    url: str = ""
    tags: set[str] = field(default_factory=set)
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    assets: dict[int, dict[str, Any]] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)
    trouble: list[tuple[str, str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    page: int = 100

    def release(self, tag: str) -> dict[str, Any]:
        number = 100 + len(self.releases)
        self.releases[tag] = {
            "id": number,
            "tag_name": tag,
            "draft": False,
            "prerelease": False,
            "url": f"{self.url}/repos/acme/store/releases/{number}",
            "html_url": f"https://github.example/acme/store/releases/tag/{tag}",
            "upload_url": f"{self.url}/upload/repos/acme/store/releases/{number}/assets{{?name,label}}",
        }
        return self.releases[tag]

    def attach(self, name: str, content: bytes, state: str = "uploaded") -> dict[str, Any]:
        number = 1000 + len(self.contents)
        self.contents[number] = content
        self.assets[number] = {"id": number, "name": name, "state": state, "size": len(content), "label": ""}
        return self.assets[number]

    def held(self) -> dict[str, bytes]:
        """What a visitor could download, by name."""
        return {
            asset["name"]: self.contents[number]
            for number, asset in self.assets.items()
            if asset["state"] == "uploaded"
        }


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _serve(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub.asked.append(f"{self.command} {path}")
        hub.headers.append(dict(self.headers))
        for item in hub.trouble:
            method, part, what = item
            if self.command == method and part in path:
                hub.trouble.remove(item)
                if what == "cut":
                    self.close_connection = True
                    self.connection.close()
                    return
                if callable(what):
                    what(hub)  # then answered as usual
                    break
                status, headers, answer = what
                self._answer(status, answer, headers)
                return
        self._usual(hub, path, body)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names that the library calls

    def _usual(self, hub: Hub, path: str, body: bytes) -> None:
        base = "/repos/acme/store"
        if path.startswith(f"{base}/releases/tags/"):
            found = hub.releases.get(path.rpartition("/")[2])
            self._answer(200, found) if found else self._answer(404, NOT_FOUND)
        elif path.startswith(f"{base}/git/ref/tags/"):
            known = path.rpartition("/")[2] in hub.tags
            self._answer(200, {"ref": path}) if known else self._answer(404, NOT_FOUND)
        elif self.command == "POST" and path == f"{base}/releases":
            tag = json.loads(body)["tag_name"]
            if tag in hub.releases:
                self._answer(422, exists("Release", "tag_name"))
            else:
                self._answer(
                    201, hub.release(tag) | {"target_commitish": json.loads(body).get("target_commitish", "main")}
                )
        elif self.command == "DELETE" and path.startswith(f"{base}/releases/assets/"):
            gone = hub.assets.pop(int(path.rpartition("/")[2]), None)
            self._answer(204, None) if gone else self._answer(404, NOT_FOUND)
        elif self.command == "POST" and path.startswith("/upload"):
            (name,) = parse_qs(urlsplit(self.path).query)["name"]
            if any(asset["name"] == name for asset in hub.assets.values()):
                self._answer(422, exists("ReleaseAsset", "name"))
            else:
                self._answer(201, hub.attach(name, body))
        elif path.endswith("/assets"):
            number = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
            listed = list(hub.assets.values())
            more = f'<{hub.url}{path}?per_page=100&page={number + 1}>; rel="next"'
            headers = {"Link": more} if len(listed) > number * hub.page else {}
            self._answer(200, listed[(number - 1) * hub.page : number * hub.page], headers)
        else:
            self._answer(404, NOT_FOUND)

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        content = (
            document.encode()
            if isinstance(document, str)
            else b""
            if document is None
            else json.dumps(document).encode()
        )
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def hub() -> Iterator[Hub]:
    made = Hub()
    handler = type("Handler", (_Handler,), {"hub": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
