"""The gate on a server: copied there, run there, told here; over a real SSH server."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gate.machine.shell import wait_until
from tests.ci.runner import Ended, Runner
from tests.ci.sshd import Sshd

NASTY = 'it\'s "quoted"; $(touch harm) `x`\nsecond line\\'


@dataclass
class Far:
    """A checkout, and the server's folder for it."""

    runner: Runner
    sshd: Sshd
    server: Path

    def gate(self, inputs: dict[str, str] | None = None, **variables: str) -> Ended:
        given = {
            "server": self.sshd.address,
            "server-path": str(self.server),
            "server-key": self.sshd.host_key,
            **(inputs or {}),
        }
        return self.runner.gate(given, **{"SSH_PRIVATE_KEY": self.sshd.key, **variables})

    def track(self) -> None:
        subprocess.run(
            ["git", "add", "-A"],  # noqa: S607
            cwd=self.runner.workspace,
            check=True,
            timeout=30,
        )

    def does(self, code: str) -> None:
        """A gate on the server that does so; the checkout names the interpreter there."""
        self.runner.project(code)
        self.track()


@pytest.fixture
def far(tmp_path: Path, sshd: Sshd) -> Far:
    workspace, server = tmp_path / "work space", tmp_path / "the server's"
    workspace.mkdir()
    subprocess.run(
        ["git", "init", "-q"],  # noqa: S607
        cwd=workspace,
        check=True,
        timeout=30,
    )
    (workspace / ".gitignore").write_text("reports\noutput\nsummary\n")
    bin_ = server / ".venv" / "bin"
    bin_.mkdir(parents=True)
    here = Runner(workspace).environment()
    python = f'#!/bin/sh\nPATH={here["PATH"]} PYTHONPATH={here["PYTHONPATH"]} exec python "$@"\n'
    (bin_ / "python").write_text(python)
    (bin_ / "python").chmod(0o755)
    return Far(Runner(workspace), sshd, server)


ANSWER = """
import json, pathlib
print("on its way", file=sys.stderr)
print("::add-mask::a", file=sys.stderr)
pathlib.Path("seen").write_text(json.dumps({"words": words, "secret": os.environ.get("SECRET"),
    "key": os.environ.get("SSH_PRIVATE_KEY"), "empty": "EMPTY" in os.environ,
    "by": os.environ.get("GITHUB_ACTOR")}))
report = pathlib.Path("reports/local/3/report.html")
report.parent.mkdir(parents=True, exist_ok=True)
report.write_text("what the server saw")
print(json.dumps({"outcome": "ROLLED_BACK", "exit_code": 1, "deployment": 3, "reasons": [{"text": "too slow"}],
    "report": str(report)}))
sys.exit(1)
"""


def test_copied_run_and_brought_back(far: Far) -> None:
    (far.runner.workspace / "checks").mkdir()
    for name in ("old", "both"):
        (far.runner.workspace / "checks" / f"test {name}.py").write_text(name)
    results = far.runner.workspace / "reports" / "tests" / "junit.xml"
    results.parent.mkdir(parents=True)
    results.write_text("<testsuite/>")
    far.does(ANSWER)
    inputs = {
        "arguments": f"--again '{NASTY.partition(chr(39))[2].replace(chr(39), '')}'",
        "files": "reports/tests/junit.xml",
        "variables": "SECRET EMPTY ABSENT",
        "prepare": "printf '%s' \"$SECRET\" >prepared  # a comment at the end",
    }
    ended = far.gate(inputs, SECRET=NASTY, EMPTY="", GITHUB_ACTOR="alice-at-github")
    assert (ended.code, ended.outputs["outcome"]) == (1, "ROLLED_BACK"), ended.log
    assert (far.runner.workspace / ended.outputs["report"]).read_text() == "what the server saw"
    seen = json.loads((far.server / "seen").read_text())
    assert seen["words"][:3] == ["local", "--version", "1.0.0"]
    assert "$(touch harm)" in seen["words"][-1]
    assert (seen["secret"], seen["key"], seen["empty"]) == (NASTY, None, False)
    assert seen["by"] == "alice-at-github", "four eyes: who started the job deploys"
    assert (far.server / "prepared").read_text() == NASTY
    assert (far.server / "reports" / "tests" / "junit.xml").read_text() == "<testsuite/>"
    assert not [*far.server.rglob("harm"), *far.runner.workspace.rglob("harm")]
    hushed = re.findall(r"^::stop-commands::(\w+)\n(.*?)^::\1::$", ended.log, re.M | re.S)
    assert len(hushed) == 1
    assert "on its way\n::add-mask::a" in hushed[0][1]
    assert [line for line in ended.log.splitlines() if line.startswith("::error")] == [
        "::error title=local%3A ROLLED_BACK::too slow"
    ]
    assert "<h3>ROLLED_BACK</h3>" in ended.summary
    assert far.sshd.key.splitlines()[1] not in ended.log

    # What the next commit has no more goes; what the server made itself stays.
    (far.runner.workspace / "checks" / "test old.py").unlink()
    far.track()
    far.gate()
    assert sorted(file.name for file in (far.server / "checks").iterdir()) == ["test both.py"]
    assert (far.server / "seen").exists()


def test_a_server_nobody_compared_is_refused(far: Far) -> None:
    far.does(ANSWER)
    asked = far.gate({"server-key": ""})
    assert asked.code == 2
    assert f"ssh-keyscan -p {far.sshd.port} -t ed25519 127.0.0.1" in asked.log
    stranger = replace(far.sshd, host_key=far.sshd.host_key[:-8] + "AAAAAAAA")
    assert Far(far.runner, stranger, far.server).gate().code == 2
    assert far.gate(SSH_PRIVATE_KEY="").code == 2
    assert far.gate({"server": "-oProxyCommand=touch harm"}).code == 2
    assert far.gate({"variables": "PATH; touch harm"}).code == 2
    assert not (far.server / "seen").exists()
    assert not list(far.runner.workspace.rglob("harm"))


def test_a_preparation_that_fails_starts_nothing(far: Far) -> None:
    far.does(ANSWER)
    ended = far.gate({"prepare": "echo no room >&2\nfalse\ntrue"})
    assert (ended.code, ended.outputs["outcome"]) == (2, "UNKNOWN")
    assert "input prepare: ended with 1" in ended.log
    assert "no room" in ended.log
    assert not (far.server / "seen").exists()


def test_a_connection_that_is_lost_is_not_an_outcome_and_ends_nothing(far: Far) -> None:
    far.does("""
import pathlib, json
from gate.machine.shell import wait_until
pathlib.Path("began").touch()
assert wait_until(pathlib.Path("go").exists, timeout=60)
try:
    print(json.dumps({"outcome": "RELEASED", "exit_code": 0, "reasons": []}), flush=True)
except OSError:
    pass
pathlib.Path("ended").touch()
""")
    argv, variables = far.runner.step(
        {
            "environment": "local",
            "version": "1.0.0",
            "server": far.sshd.address,
            "server-path": str(far.server),
            "server-key": far.sshd.host_key,
        }
    )
    environment = far.runner.environment(**variables, SSH_PRIVATE_KEY=far.sshd.key)
    with subprocess.Popen(argv, cwd=far.runner.workspace, env=environment, stderr=subprocess.DEVNULL) as step:
        try:
            assert wait_until((far.server / "began").exists, timeout=30)
            far.sshd.cut()
            assert step.wait(timeout=20) == 4
        finally:
            step.kill()
            (far.server / "go").touch()
    assert "UNKNOWN" in (far.runner.workspace / "output").read_text()
    assert "goes on" in (far.runner.workspace / "summary").read_text()
    assert wait_until((far.server / "ended").exists, timeout=10), "the gate died with the connection"
