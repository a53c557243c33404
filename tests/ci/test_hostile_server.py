"""A server that lies: whatever it says stays text, and nothing but its report comes from it; ``ssh`` is a stand-in."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import brought
import pytest
import server

from gate.approval import logins
from tests.ci.runner import ROOT, Ended, Runner

LIES = "  ::error title=lie::said by the server\n##[error]said by the server\n::stop-commands::forever\nno end"
REPORT = Path("reports", "local", "3", "report.html")

# Says its lies on standard error, sends a tar of its own as the report where it has one, and does what else it was
# asked on this machine, in place of the server.
SSH = """#!/bin/sh
for command; do :; done
cat "$LIES" >&2
case $command in *"tar -c"*) test -f "$PACKED" && exec cat "$PACKED" ;; esac
exec sh -c "$command"
"""


@dataclass
class Hostile:
    """A checkout, and the folder on a server that lies."""

    runner: Runner
    server: Path
    variables: dict[str, str]

    def inputs(self, **inputs: str) -> dict[str, str]:
        reached = {"server": "gate@shop.example", "server-path": str(self.server), "server-key": "shop.example key"}
        return {**reached, **inputs}

    def gate(self, **inputs: str) -> Ended:
        return self.runner.gate(self.inputs(**inputs), **self.variables)

    def does(self, code: str) -> None:
        """A gate on the server that does so."""
        self.runner.project(code)
        subprocess.run(["git", "add", "-A"], cwd=self.runner.workspace, check=True, timeout=30)  # noqa: S607


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    workspace, server, tools = tmp_path / "workspace", tmp_path / "server", tmp_path / "tools"
    for folder in (workspace, server / ".venv" / "bin", tools):
        folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=workspace, check=True, timeout=30)  # noqa: S607
    (workspace / ".gitignore").write_text("reports\noutput\nsummary\n")
    (tmp_path / "lies").write_text(LIES)
    runner = Runner(workspace)
    here = runner.environment()
    for tool, text in ((server / ".venv" / "bin" / "python", '#!/bin/sh\nexec python "$@"\n'), (tools / "ssh", SSH)):
        tool.write_text(text)
        tool.chmod(0o755)
    variables = {
        "PATH": f"{tools}:{here['PATH']}",
        "LIES": str(tmp_path / "lies"),
        "PACKED": str(tmp_path / "packed"),
        "SSH_PRIVATE_KEY": "a key",
    }
    return Hostile(runner, server, variables)


def answering(report: str = "reports/local/3/report.html") -> str:
    """A gate that lies on standard error, has a report, and says where it is."""
    return f"""
import json, pathlib
print({LIES!r}, file=sys.stderr, end="")
made = pathlib.Path("reports/local/3/report.html")
made.parent.mkdir(parents=True, exist_ok=True)
made.write_text("what the server saw")
print(json.dumps({{"outcome": "ROLLED_BACK", "exit_code": 1, "deployment": 3,
    "reasons": [{{"text": "too slow"}}], "report": {report!r}}}))
sys.exit(1)
"""


def obeyed(log: str) -> list[str]:
    """The commands that a runner of GitHub takes from a log, those left out that stop others and let them in again."""
    stopped, found = "", []
    for line in log.splitlines():
        said = line.lstrip()
        if stopped:
            stopped = "" if said == f"::{stopped}::" else stopped
        elif said.startswith("::stop-commands::"):
            stopped = said.rpartition("::")[2]
        elif said.startswith("::") or "##[" in said:
            found.append(line)
    return [*found, f"stopped by {stopped}"] if stopped else found


def test_nothing_that_a_server_says_is_a_command(hostile: Hostile) -> None:
    hostile.does(answering())
    inputs = hostile.inputs(prepare='cat "$LIES"')
    argv, given = hostile.runner.step({"environment": "local", "version": "1.0.0", **inputs})
    variables = hostile.runner.environment(**given, **hostile.variables)
    ended = subprocess.run(
        argv, cwd=hostile.runner.workspace, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert obeyed(ended.stderr) == ["::error title=local%3A ROLLED_BACK::too slow"]
    assert (
        ended.stderr.count("no end") == 6
    )  # the copy, the preparation and the gate twice each, the report: all is shown
    assert ended.stdout == ""  # a runner keeps the order of one stream, and not of two


@pytest.mark.parametrize(
    ("inputs", "told"),
    [({"prepare": 'cat "$LIES"; false'}, "input prepare: ended with 1"), ({"server-path": "/dev/null"}, "exit code")],
    ids=["the preparation fails", "the copy fails"],
)
def test_nor_what_it_says_where_it_fails(hostile: Hostile, inputs: dict[str, str], told: str) -> None:
    hostile.does(answering())
    ended = hostile.gate(**inputs)
    (error,) = obeyed(ended.log)
    assert ended.code == 2
    assert error.startswith("::error title=deploy gate::")
    assert told in error


@pytest.mark.parametrize("report", ["{outside}/report.html", "../outside/report.html", "reports/local/2/report.html"])
def test_a_server_does_not_choose_what_is_published(hostile: Hostile, report: str) -> None:
    """A runner's own folder, or an earlier report, would be zipped and attached to the release."""
    outside = hostile.runner.workspace.parent / "outside"
    for place in (outside, hostile.runner.workspace / "reports" / "local" / "2"):
        place.mkdir(parents=True)
        (place / "report.html").write_text("the runner's own")
    hostile.does(answering(report.format(outside=outside)))
    ended = hostile.gate()
    assert (ended.code, ended.outputs["outcome"], ended.outputs["report"]) == (1, "ROLLED_BACK", "")
    assert "::warning title=the report stayed on the server::" in ended.log
    assert not (hostile.runner.workspace / "reports" / "local" / "3").exists()


def packed(kind: str) -> bytes:
    """What a server sends in place of its report: something beside it, that escapes, or that is no tar."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("report.html"))
        entry = tarfile.TarInfo("../../../.git/config" if kind == "escapes" else "a")
        entry.type = {"a link": tarfile.SYMTYPE, "a device": tarfile.CHRTYPE}.get(kind, tarfile.REGTYPE)
        entry.linkname = "report.html"
        tar.addfile(entry)
    return b"no tar" if kind == "no tar" else made.getvalue()


@pytest.mark.parametrize("kind", ["escapes", "a link", "a device", "no tar"])
def test_nothing_but_files_within_a_reports_folder_is_unpacked(tmp_path: Path, kind: str) -> None:
    with pytest.raises(brought.Misplaced):
        brought.unpack(io.BytesIO(packed(kind)), tmp_path, REPORT)
    assert [place for place in tmp_path.rglob("*") if not place.is_dir()] == []
    brought.unpack(io.BytesIO(packed("a file")), tmp_path, REPORT)
    assert brought.lies(tmp_path, REPORT)


def test_a_report_of_too_many_files_is_not_unpacked(tmp_path: Path) -> None:
    """Each costs memory, however little of the tar it takes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(brought.MOST + 1):
            tar.addfile(tarfile.TarInfo(str(number)))
    made.seek(0)
    with pytest.raises(brought.Misplaced, match="more than 2000 files"):
        brought.unpack(made, tmp_path, REPORT)
    assert not (tmp_path / REPORT).parent.exists()


def test_a_server_that_never_stops_sending_is_not_listened_to_for_ever(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, given = hostile.runner.step({"environment": "local", "version": "1.0.0", **hostile.inputs()})
    for name, value in {**given, **hostile.variables}.items():
        monkeypatch.setenv(name, value)
    (Path(hostile.variables["LIES"]).parent / "tools" / "ssh").write_text("#!/bin/sh\nexec cat /dev/zero\n")
    target = replace(server.Server.read("gate@shop.example", hostile.runner.workspace), largest=5_000_000)
    with target.reached(), pytest.raises(brought.Misplaced, match="more than 5000000 bytes"):
        target.fetch(REPORT)
    assert not (hostile.runner.workspace / "reports").exists()


def test_who_started_the_job_is_told_the_server_s_gate_by_every_name_that_it_knows() -> None:
    """One that the gate asks for, and nobody hands on, is a hole in four eyes; it was the same list written twice."""
    assert set(server.STARTED_BY) == set(logins.CI)


def test_who_wrote_the_commit_is_told_the_server_where_git_knows_nothing(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them nobody could sign for what the workflow deploys: only files are copied, and no repository."""
    _, given = hostile.runner.step({"environment": "local", "version": "1.0.0", **hostile.inputs()})
    for name, value in {**given, **hostile.variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COMMIT_AUTHORS", raising=False)
    assert "COMMIT_AUTHORS" not in server.Server.read("gate@shop.example", hostile.runner.workspace).script([])
    who = ["-c", "user.name=Ines 'O\" $(x)", "-c", "user.email=ines@shop.example", "-c", "commit.gpgsign=false"]
    message = "A note\n\nCo-authored-by: Otto Lind <otto@shop.example>"
    commit = ["git", *who, "commit", "-q", "--allow-empty", "-m", message]
    subprocess.run(commit, cwd=hostile.runner.workspace, check=True, timeout=30)
    target = server.Server.read("gate@shop.example", hostile.runner.workspace)
    (line,) = [line for line in target.preparation().splitlines() if "COMMIT_AUTHORS" in line]
    assert line in target.script([]).splitlines()
    said = subprocess.run(
        ["sh", "-c", f'{line}; printf %s "$COMMIT_AUTHORS"'],  # noqa: S607
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert said.stdout == "Ines 'O\" $(x) <ines@shop.example>; Otto Lind <otto@shop.example>"


def test_the_shop_s_build_puts_them_into_the_release(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "COMMIT": "abc", "COMMIT_AUTHORS": "-x <a@b>; B \"'"}
    argv = [sys.executable, str(ROOT / "example" / "store" / "build.py"), "1.1.0", "--into", str(tmp_path / "made")]
    subprocess.run(argv, env=given, check=True, timeout=60, stdout=subprocess.DEVNULL)
    manifest = json.loads((tmp_path / "made" / "release.json").read_text())
    assert (manifest["commit"], manifest["author"]) == ("abc", "-x <a@b>; B \"'")


def test_nothing_is_unpacked_or_published_behind_a_link(tmp_path: Path) -> None:
    elsewhere, project = tmp_path / "elsewhere", tmp_path / "project"
    (elsewhere / "3").mkdir(parents=True)
    (elsewhere / "3" / "report.html").touch()
    (project / "reports").mkdir(parents=True)
    (project / "reports" / "local").symlink_to(elsewhere)
    with pytest.raises(brought.Misplaced, match="link"):
        brought.unpack(io.BytesIO(packed("a file")), project, REPORT)
    assert not brought.lies(project, REPORT)


@pytest.mark.parametrize("found", ["3/../x", True, 0, -1, None, 3.0])
def test_a_deployment_is_a_number_or_not_told(found: object) -> None:
    assert brought.number({"deployment": found}) == ""


def test_what_a_server_sends_as_its_report_changes_no_outcome(hostile: Hostile) -> None:
    hostile.does(answering())
    before = (hostile.runner.workspace / ".git" / "config").read_bytes()
    Path(hostile.variables["PACKED"]).write_bytes(packed("escapes"))
    ended = hostile.gate()
    assert (ended.code, ended.outputs["outcome"], ended.outputs["report"]) == (1, "ROLLED_BACK", "")
    assert (hostile.runner.workspace / ".git" / "config").read_bytes() == before
