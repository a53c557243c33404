"""Evidence is taken to folders and buckets; a target that fails stops no other."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gate.config.publishing import Bucket as Settings
from gate.errors import OperationFailed
from gate.publish.attempts import Client
from gate.publish.bucket import Bucket
from gate.publish.folder import Folder
from gate.publish.parcel import Parcel
from gate.redact import Secret

KEY, SECRET = "AKID", "a-secret-of-the-bucket"


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    files = {"local-7.zip": tmp_path / "a.zip", "local-7.html": tmp_path / "report.html"}
    for name, file in files.items():
        file.write_bytes(name.encode())
    return Parcel("local", 7, "1.1.0", None, files)


def test_a_folder_gets_whole_files_and_nothing_else(parcel: Parcel, tmp_path: Path) -> None:
    place = tmp_path / "made" / "on the way"
    for _ in range(2):
        assert Folder(place, within=60).publish(parcel) == str(place / "local-7.zip")
    assert {file.name: file.read_bytes() for file in place.iterdir()} == {
        name: file.read_bytes() for name, file in parcel.files.items()
    }


def test_a_folder_that_cannot_be_one_is_said(parcel: Parcel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Folder(tmp_path / "file", within=60).publish(parcel)


class Store(BaseHTTPRequestHandler):
    """Takes what is signed as the protocol says, with the signature made anew from the request as it came."""

    held: dict[str, bytes]
    answers: list[int]

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            status = 200 if self._signed(body) else 403
        if status == 200:
            self.held[self.path] = body
        text = b"<Error><Code>SignatureDoesNotMatch</Code></Error>" if status == 403 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _signed(self, body: bytes) -> bool:
        told = dict(part.split("=", 1) for part in self.headers["Authorization"].split(" ", 1)[1].split(", "))
        digest = hashlib.sha256(body).hexdigest()
        names = told["SignedHeaders"].split(";")
        lines = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in names)
        asked = "\n".join(("PUT", self.path, "", lines, told["SignedHeaders"], digest))
        day, region, service, end = told["Credential"].split("/")[1:]
        text = "\n".join(
            (
                "AWS4-HMAC-SHA256",
                self.headers["X-Amz-Date"],
                f"{day}/{region}/{service}/{end}",
                hashlib.sha256(asked.encode()).hexdigest(),
            )
        )
        key = f"AWS4{SECRET}".encode()
        for part in (day, region, service, end):
            key = hmac.digest(key, part.encode(), "sha256")
        wanted = hmac.new(key, text.encode(), "sha256").hexdigest()
        return self.headers["X-Amz-Content-SHA256"] == digest and wanted == told["Signature"]


@pytest.fixture
def bucket() -> Iterator[tuple[str, type[Store]]]:
    handler = type("Handler", (Store,), {"held": {}, "answers": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/evidence/store", handler
    server.shutdown()
    thread.join()
    server.server_close()


def target(url: str, secret: str = SECRET) -> Bucket:
    settings = Settings(url=url, region="eu-central-1", access_key=Secret(KEY), secret_key=Secret(secret))
    return Bucket(settings, within=60, client=Client(60, pause=lambda _: None))


def test_a_bucket_takes_what_is_signed(parcel: Parcel, bucket: tuple[str, type[Store]]) -> None:
    url, server = bucket
    server.answers[:] = [503, 500]
    assert target(url).publish(parcel) == f"{url}/local-7.zip"
    assert server.held == {f"/evidence/store/{name}": file.read_bytes() for name, file in parcel.files.items()}


def test_a_wrong_key_is_said_by_the_protocols_own_name(parcel: Parcel, bucket: tuple[str, type[Store]]) -> None:
    url, server = bucket
    with pytest.raises(OperationFailed, match="status 403 SignatureDoesNotMatch") as fault:
        target(url, "another").publish(parcel)
    assert "another" not in str(fault.value)
    assert server.held == {}


def test_a_bucket_that_is_not_there_is_given_up(parcel: Parcel) -> None:
    with pytest.raises(OperationFailed, match="no answer: ConnectionError, 8 times"):
        target("http://127.0.0.1:9/bucket").publish(parcel)
