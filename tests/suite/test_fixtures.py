"""The fixtures that reach out of the process: the HTTP client, the log of an instance, programs."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from fixtures.app import client
from fixtures.logs import Logs
from gate.engines.base import Endpoint, Instance
from gate.results import CaseOutcome
from tests.suite.project import Project, case, outcomes


class Handler(http.server.BaseHTTPRequestHandler):
    """Tells what it was sent; ``/away?HOST`` redirects to another server, ``/slow`` never answers in time."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, host = self.path.partition("?")
        if path == "/slow":
            threading.Event().wait(0.5)
        self.send_response(302 if path == "/away" else 200)
        if path == "/away":
            self.send_header("Location", f"http://{host}/landed")
        body = f"{self.path} {self.headers.get('X-Gate-Token')} {self.headers.get('Cookie')}".encode()
        self.send_header("Set-Cookie", "visit=1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def servers() -> Iterator[list[str]]:
    """Addresses of two servers."""
    running = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    for server in running:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield [f"127.0.0.1:{server.server_address[1]}" for server in running]
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def app(servers: list[str]) -> Any:
    return client(Endpoint(f"http://{servers[0]}", {"X-Gate-Token": "token"}))


def test_paths_and_headers_of_the_endpoint(app: Any) -> None:
    assert app.get("/a/b?c=1").text == "/a/b?c=1 token None"
    assert app.endpoint_headers == {"X-Gate-Token": "token"}


def test_headers_stay_behind_on_a_redirect_to_another_host(app: Any, servers: list[str]) -> None:
    assert app.get(f"/away?{servers[0]}").text.startswith("/landed token")
    assert app.get(f"/away?{servers[1]}").text.startswith("/landed None")


def test_a_new_client_has_cookies_of_its_own(app: Any) -> None:
    app.get("/")
    assert app.get("/").text.endswith("visit=1")
    assert app.new().get("/").text == "/ token None"


def test_a_request_ends_in_time(app: Any) -> None:
    assert app.timeout == 5
    app.timeout = 0.2
    with pytest.raises(requests.Timeout):
        app.get("/slow")
    assert app.get("/slow", timeout=10).status_code == 200


def test_many_threads_share_a_client(app: Any) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: app.get(f"/{number}").text.split()[0], range(64)))
    assert answers == [f"/{number}" for number in range(64)]


def test_no_proxy_for_this_machine(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert app.get("/").status_code == 200


@dataclass
class Writer:
    """The part of an engine that the log fixture asks."""

    lines: list[str] = field(default_factory=list)

    def logs(self, instance: Instance, last: int = 200) -> list[str]:
        assert instance.id == "r1"
        return self.lines[-last:]


def test_new_lines_are_told_from_old_ones_by_service() -> None:
    """An engine gives the lines service by service, so a new one may stand before an old one."""
    writer = Writer(["web: old", "worker: old"])
    instance = Instance("r1", "1.0.0", "sha256:0", None, "", datetime.now(UTC))
    logs = Logs(writer, instance)  # type: ignore[arg-type] # all of an engine it uses
    assert logs() == []
    writer.lines = ["web: old", "web: old", "worker: old", "worker: new", "job: first"]
    assert logs() == ["web: old", "worker: new", "job: first"]
    assert logs.since_start() == writer.lines


def test_programs_and_what_is_not_declared(project: Project) -> None:
    text = """
    def test_from_the_project_s_folder(run_tool, project):
        assert run_tool(["pwd"]).out.strip() == str(project)
    def test_code_is_no_failure(run_tool): assert run_tool(["false"]).code == 1
    def test_checked(run_tool): run_tool(["false"], check=True)
    def test_too_long(run_tool): run_tool(["sleep", "60"], timeout=0.2)
    def test_host(host): assert host.file("/").is_directory
    def test_hosts(host, hosts): assert hosts == {"this machine": host}
    def test_asked(host, ask): assert ask(lambda: host.check_output("echo %s", "it's")) == "it's"
    def test_told_otherwise(host, ask): assert ask(lambda: host.run("exit 3").rc) == 0
    def test_cannot_tell(host, ask): assert ask(lambda: host.check_output("exit 127")) == "never reached"
    def test_database(database): pass
    def test_migrations(migrations): pass
    def test_cache(cache): pass
    """
    result = project.cases(text).write("releases/1.0.0/release.json", "{}").run()
    assert outcomes(result) == {
        "test_from_the_project_s_folder": CaseOutcome.PASSED,
        "test_code_is_no_failure": CaseOutcome.PASSED,
        "test_checked": CaseOutcome.FAILED,
        "test_too_long": CaseOutcome.FAILED,
        "test_host": CaseOutcome.PASSED,
        "test_hosts": CaseOutcome.PASSED,
        "test_asked": CaseOutcome.PASSED,
        "test_told_otherwise": CaseOutcome.FAILED,
        "test_cannot_tell": CaseOutcome.WARNING,
        "test_database": CaseOutcome.ERROR,
        "test_migrations": CaseOutcome.FAILED,
        "test_cache": CaseOutcome.ERROR,
    }
    assert case(result, "test_too_long").message == "sleep: did not end within 0.2 s"
    assert case(result, "test_cannot_tell").inconclusive
    assert case(result, "test_database").message == 'here has no [database]. Next: mark the case requires("database")'
    assert "no release to judge" in case(result, "test_migrations").message
