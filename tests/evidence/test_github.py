"""A report is attached to a GitHub release whatever the API does on the way; and what cannot be, is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gate.config.publishing import GithubRelease as Settings
from gate.errors import OperationFailed
from gate.publish import Packed
from gate.publish.attempts import Client
from gate.publish.folder import Folder
from gate.publish.github import GithubRelease
from gate.publish.parcel import Parcel
from gate.redact import Secret
from tests.evidence.hub import Hub, hub

NOW = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
TOKEN = "not-a-token-but-long-enough"
BAD_GATEWAY = (502, {"Content-Type": "text/html"}, "<html><h1>502 Bad Gateway</h1></html>")
SERVER_ERROR: tuple[int, dict[str, str], dict[str, str]] = (500, {}, {"message": "Server Error", "status": "500"})
FORBIDDEN = {"message": "Resource not accessible by integration", "status": "403"}
LIMIT = {"message": "API rate limit exceeded for installation ID 1.", "status": "403"}


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as made:
        yield made


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    files = {"production-42.zip": tmp_path / "a.zip", "production-42.html": tmp_path / "report.html"}
    for name, file in files.items():
        file.write_bytes(name.encode() * 3000)
    return Parcel("production", 42, "1.1.0", "c0ffee1234", files)


class Publishing:
    """A target whose waiting takes no time, and is written down."""

    def __init__(self, server: Hub, within: float = 60.0) -> None:
        self.waited: list[float] = []
        settings = Settings(repository="acme/store", token=Secret(TOKEN), api=server.url)
        client = Client(within, pause=self.waited.append, clock=lambda: NOW)
        self.target = GithubRelease(settings, within=within, client=client)


def wanted(parcel: Parcel) -> dict[str, bytes]:
    return {name: file.read_bytes() for name, file in parcel.files.items()}


def test_a_release_that_is_there_gets_the_files(server: Hub, parcel: Parcel) -> None:
    server.release("v1.1.0")
    assert Publishing(server).target.publish(parcel) == "https://github.example/acme/store/releases/tag/v1.1.0"
    assert server.held() == wanted(parcel)
    assert not any(line == "POST /repos/acme/store/releases" for line in server.asked)
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {TOKEN}"}


def test_a_tag_without_a_release_gets_one(server: Hub, parcel: Parcel) -> None:
    server.tags.add("v1.1.0")
    Publishing(server).target.publish(parcel)
    assert list(server.releases) == ["v1.1.0"]
    assert server.held() == wanted(parcel)


def test_a_tag_that_is_not_there_is_made_of_the_release_commit_or_not_at_all(server: Hub, parcel: Parcel) -> None:
    unknown = Parcel(parcel.environment, parcel.deployment, parcel.version, None, parcel.files)
    with pytest.raises(OperationFailed, match=r"no tag v1\.1\.0") as fault:
        Publishing(server).target.publish(unknown)
    assert fault.value.next_step == "git tag v1.1.0 && git push origin v1.1.0"
    assert server.releases == {}
    Publishing(server).target.publish(parcel)
    assert list(server.releases) == ["v1.1.0"]


def test_publishing_again_replaces_and_leaves_what_is_not_ours(server: Hub, parcel: Parcel) -> None:
    server.release("v1.1.0")
    server.attach("production-42.html", b"older")
    server.attach("production-42.zip", b"half of", state="starter")  # what an upload that broke off leaves
    server.attach("store-1.1.0.tar.gz", b"the team's")
    Publishing(server).target.publish(parcel)
    assert server.held() == {**wanted(parcel), "store-1.1.0.tar.gz": b"the team's"}


def test_an_older_file_on_a_later_page_is_found(server: Hub, parcel: Parcel) -> None:
    server.release("v1.1.0")
    server.page = 2
    for number in range(5):
        server.attach(f"other-{number}", b"x")
    server.attach("production-42.zip", b"older")
    Publishing(server).target.publish(parcel)
    assert server.held()["production-42.zip"] == wanted(parcel)["production-42.zip"]


def upload_arrived_but_nobody_heard(server: Hub) -> None:
    server.attach("production-42.zip", b"it did arrive")


def made_by_another(server: Hub) -> None:
    server.release("v1.1.0")


PASSING: dict[str, list[tuple[str, str, Any]]] = {
    "the look-up is cut": [("GET", "/releases/tags/", "cut")],
    "the release is made, and the answer is cut": [("POST", "/store/releases", made_by_another)],
    "500 for the release": [("POST", "/store/releases", SERVER_ERROR)],
    "502 for an upload": [("POST", "/upload", BAD_GATEWAY), ("POST", "/upload", BAD_GATEWAY)],
    "an upload is cut": [("POST", "/upload", "cut")],
    "422 for an upload that had arrived": [("POST", "/upload", upload_arrived_but_nobody_heard)],
    "an asset is gone before it is deleted": [("DELETE", "/assets/", (404, {}, {"message": "Not Found"}))],
    "an answer that is no object": [("GET", "/releases/tags/", (200, {}, "<html>a proxy of the company</html>"))],
    "an answer that is no list": [("GET", "/assets", (200, {}, "{}"))],
    "half of an upload": [("POST", "/upload", (201, {}, {"id": 1, "state": "starter", "size": 0}))],
}


@pytest.mark.parametrize("trouble", PASSING)
def test_what_passes_is_tried_again(server: Hub, parcel: Parcel, trouble: str) -> None:
    server.tags.add("v1.1.0")
    server.attach("production-42.html", b"older")
    server.trouble = list(PASSING[trouble])
    publishing = Publishing(server)
    publishing.target.publish(parcel)
    assert server.trouble == []
    assert server.held() == wanted(parcel)
    assert list(server.releases) == ["v1.1.0"]
    assert all(0 <= seconds <= 15 for seconds in publishing.waited)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "7"}, 7),
        (403, {"Retry-After": "7"}, 7),
        (503, {"Retry-After": format_datetime(datetime(2026, 11, 28, 2, 0, 9, tzinfo=UTC), usegmt=True)}, 9),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 11)}, 11),
    ],
)
def test_it_waits_as_long_as_it_is_asked_to(
    server: Hub, parcel: Parcel, status: int, headers: dict[str, str], seconds: float
) -> None:
    server.release("v1.1.0")
    server.trouble = [("GET", "/assets", (status, headers, LIMIT))]
    publishing = Publishing(server)
    publishing.target.publish(parcel)
    assert publishing.waited == [seconds]
    assert server.held() == wanted(parcel)


def test_a_wait_longer_than_its_time_is_said_instead(server: Hub, parcel: Parcel) -> None:
    server.trouble = [("GET", "/releases/tags/", (429, {"Retry-After": "3600"}, LIMIT))]
    publishing = Publishing(server)
    with pytest.raises(OperationFailed, match="asks to wait 3600 s"):
        publishing.target.publish(parcel)
    assert publishing.waited == []


def test_a_server_that_stays_broken_is_given_up(server: Hub, parcel: Parcel) -> None:
    server.trouble = [("GET", "/releases/tags/", SERVER_ERROR)] * 20
    with pytest.raises(OperationFailed, match=r"release v1\.1\.0: status 500, 8 times") as fault:
        Publishing(server).target.publish(parcel)
    assert TOKEN not in str(fault.value)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (("GET", "/releases/tags/", (401, {}, {"message": "Bad credentials"})), "Bad credentials"),
        (("POST", "/store/releases", (403, {}, FORBIDDEN)), "Resource not accessible"),
        (("POST", "/upload", (404, {}, {"message": "Not Found"})), "production-42.zip was not taken: status 404"),
        (("DELETE", "/assets/", (403, {}, FORBIDDEN)), "cannot be replaced"),
    ],
)
def test_what_will_not_pass_is_said_at_once(
    server: Hub, parcel: Parcel, trouble: tuple[str, str, Any], told: str
) -> None:
    server.tags.add("v1.1.0")
    server.attach("production-42.zip", b"older")
    server.trouble = [trouble]
    publishing = Publishing(server)
    with pytest.raises(OperationFailed, match=told) as fault:
        publishing.target.publish(parcel)
    assert publishing.waited == []
    assert "right to write" in str(fault.value.next_step)


DEEP = "[" * 200_000
GARBAGE: dict[str, tuple[str, str, int, Any]] = {
    "no JSON": ("GET", "/releases/tags/", 200, "<html>a proxy of the company</html>"),
    "nothing": ("GET", "/releases/tags/", 200, ""),
    "null": ("GET", "/releases/tags/", 200, "null"),
    "a list": ("GET", "/releases/tags/", 200, []),
    "a release without an id": ("GET", "/releases/tags/", 200, {"html_url": "x", "upload_url": "y"}),
    "an id that is a text": ("GET", "/releases/tags/", 200, {"id": "../1", "html_url": "x", "upload_url": "y"}),
    "an id without an end": ("GET", "/releases/tags/", 200, '{"id": 1e999, "html_url": "x", "upload_url": "y"}'),
    "addresses that are none": ("GET", "/releases/tags/", 200, {"id": 1, "html_url": None, "upload_url": 5}),
    "deeper than anybody reads": ("GET", "/releases/tags/", 200, DEEP),
    "an object of that depth": ("GET", "/releases/tags/", 200, '{"id":' * 200_000),
    "a number as long as a book": ("GET", "/releases/tags/", 200, f'{{"id": {"9" * 100_000}}}'),
    "files that are numbers": ("GET", "/assets", 200, [1, None]),
    "a file without an id": ("GET", "/assets", 200, [{"id": None, "name": "production-42.zip"}]),
    "files of that depth": ("GET", "/assets", 200, DEEP),
    "an upload that nobody can place": ("POST", "/upload", 201, {"state": ["uploaded"], "size": "36000"}),
    "an error of that depth": ("POST", "/upload", 422, '{"errors":' + DEEP),
    "errors of any kind": ("POST", "/upload", 422, {"message": {"a": 1}, "errors": {"code": []}}),
    "codes of any kind": ("POST", "/upload", 422, {"errors": [{"code": ["already_exists"]}, 5, None, "no"]}),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_stops_one_target_and_no_other(server: Hub, parcel: Parcel, tmp_path: Path, garbage: str) -> None:
    method, part, status, answer = GARBAGE[garbage]
    server.release("v1.1.0")
    server.trouble = [(method, part, (status, {}, answer))] * 20
    targets = (("github", Publishing(server).target), ("folder", Folder(tmp_path / "place", within=60)))
    first, second = Packed(parcel, targets, TemporaryDirectory()).send()
    assert first.fault.startswith("acme/store: ")
    assert first.next_step or status == 422
    assert len(first.fault) < 600
    assert (second.place, second.fault) == (str(tmp_path / "place" / "production-42.zip"), "")


def test_what_is_wrong_with_an_answer_is_named(server: Hub, parcel: Parcel) -> None:
    server.trouble = [("GET", "/releases/tags/", (200, {}, {"id": "x", "html_url": "x", "upload_url": "y"}))] * 20
    with pytest.raises(OperationFailed, match=r"no answer of GitHub's API \(id: .*\), 8 times") as fault:
        Publishing(server).target.publish(parcel)
    assert fault.value.next_step == "see where [publish.github] api leads"


@pytest.mark.parametrize("address", ["http://[", "javascript:alert(1)", "file:///etc/passwd", ""])
def test_an_address_that_is_none_is_not_asked(server: Hub, parcel: Parcel, address: str) -> None:
    server.release("v1.1.0")["upload_url"] = address
    with pytest.raises(OperationFailed, match="names an"):
        Publishing(server).target.publish(parcel)


def test_a_redirect_to_what_is_no_address_is_said(server: Hub, parcel: Parcel) -> None:
    server.trouble = [("GET", "/releases/tags/", (302, {"Location": "/\xff\xfe"}, {}))]
    with pytest.raises(OperationFailed, match="letters that headers cannot hold"):
        Publishing(server).target.publish(parcel)


@pytest.mark.parametrize("token", ["a-token-with-its-line-end\n", "a-tok€n-of-another-alphabet"])
def test_a_token_that_no_header_can_hold_is_said_at_once(server: Hub, parcel: Parcel, token: str) -> None:
    settings = Settings(repository="acme/store", token=Secret(token), api=server.url)
    with pytest.raises(OperationFailed, match="letters that headers cannot hold") as fault:
        GithubRelease(settings, within=60).publish(parcel)
    assert "in one line" in str(fault.value.next_step)
    assert token[:6] not in str(fault.value)


def test_no_stranger_hears_the_token(server: Hub, parcel: Parcel) -> None:
    with hub() as stranger:
        release = server.release("v1.1.0")
        release["upload_url"] = release["upload_url"].replace(server.url, stranger.url)
        with pytest.raises(OperationFailed, match="names another host"):
            Publishing(server).target.publish(parcel)
        assert stranger.asked == []
