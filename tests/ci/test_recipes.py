"""The recipes of docs/ci.md and the workflow's own steps: well-formed, and their commands do what they say."""

from __future__ import annotations

import http.server
import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gate import verify
from gate.approval import logins
from gate.evidence import bundle
from tests.ci.runner import ACTION, BASH, ROOT, WORKFLOW, Ended, Runner, parsed
from tests.ci.sshd import Sshd

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"<!-- recipe: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.S))
GITLAB = YAML(typ="safe").load(io.StringIO(RECIPES["gitlab"]))


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-workflows", WORKFLOW), ("vendor.github-actions", ACTION / "action.yml"), ("vendor.gitlab-ci", "")],
    ids=["workflow", "action", "gitlab"],
)
def test_it_fits_its_schema(schema: str, file: Path | str, tmp_path: Path) -> None:
    if not file:
        file = tmp_path / "gitlab-ci.yml"
        file.write_text(RECIPES["gitlab"], encoding="utf-8")
    told = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", schema, str(file)]
    ended = subprocess.run(told, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout


def test_the_recipe_of_github_is_a_workflow_whose_inputs_the_action_knows(tmp_path: Path) -> None:
    file = tmp_path / ".github" / "workflows" / "recipe.yml"
    file.parent.mkdir(parents=True)
    (tmp_path / ".git").mkdir()  # where actionlint looks for the action
    text = RECIPES["github"].replace("OWNER/deploy-gate/.github/actions/deploy-gate@COMMIT", "./action")
    file.write_text(f"on:\n  push:\n    tags: ['v*']\npermissions: {{}}\n{text}", encoding="utf-8")
    (tmp_path / "action").symlink_to(ACTION)
    told = [str(Path(sys.executable).parent / "actionlint"), str(file)]
    ended = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout


def test_the_page_names_every_input_and_output() -> None:
    action = parsed(ACTION / "action.yml")
    for kind in ("inputs", "outputs"):
        for name, about in action[kind].items():
            row = next(line for line in PAGE.splitlines() if line.startswith("| ") and f"`{name}`" in line)
            assert f"`{about.get('default')}`" in row or not about.get("default"), name


def jenkins_gate() -> str:
    found = re.search(r"void gate.*?sh '''\n(.*?)'''", RECIPES["jenkins"], re.S)
    assert found is not None
    return found[1].replace("python3 ", "python ")


def test_jenkins_parentheses_and_credentials_are_whole() -> None:
    text = re.sub(r"'''.*?'''|'[^'\n]*'|\"[^\"\n]*\"", "", RECIPES["jenkins"], flags=re.S)
    for opening, closing in ("{}", "()", "[]"):
        assert text.count(opening) == text.count(closing)
    assert "'''" not in text


def test_jenkins_tells_who_let_it_deploy() -> None:
    """It says of itself nothing that four eyes could go by: whoever had signed could start the pipeline."""
    asked = re.findall(r"input \{\n.*?\n +submitterParameter '(\w+)'\n", RECIPES["jenkins"])
    assert len(asked) == RECIPES["jenkins"].count("input {") == 2
    assert set(asked) <= set(logins.CI)


@pytest.mark.parametrize("recipe", ["gitlab", "jenkins"])
def test_the_deploying_commands_reach_the_server(recipe: str, tmp_path: Path, sshd: Sshd) -> None:
    runner, server = Runner(tmp_path / "work"), tmp_path / "server"
    runner.workspace.mkdir()
    runner.answering(6, outcome="HELD", reasons=[{"text": "too few requests"}])
    (runner.workspace / ".github").symlink_to(ROOT / ".github")
    (runner.workspace / "reports" / "tests").mkdir(parents=True)
    (runner.workspace / "reports" / "tests" / "junit.xml").touch()
    prepare = runner.workspace / "example" / "store" / "prepare.sh"
    prepare.parent.mkdir(parents=True)
    prepare.write_text('echo "$1 $VERSION $COMMIT" >prepared\n')
    for command in (["git", "init", "-q"], ["git", "add", "deploy_gate.py", "environments", "example"]):
        subprocess.run(command, cwd=runner.workspace, check=True, timeout=30)
    (server / ".venv" / "bin").mkdir(parents=True)
    here = runner.environment()
    python = server / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPATH={here["PATH"]} PYTHONPATH={here["PYTHONPATH"]} exec python "$@"\n')
    python.chmod(0o755)
    user, host = sshd.address.split("@")
    settings = {
        "SSH_PRIVATE_KEY": sshd.key,
        "SERVER_USER": user,
        "SERVER_HOST": host,
        "SERVER_HOST_KEY": sshd.host_key,
        "DEPLOY_PATH": str(server),
        "GITHUB_ACTIONS": "",
    }
    if recipe == "gitlab":
        script = "\n".join(GITLAB[".deploy"]["script"])
        own = {"CI_COMMIT_TAG": "v1.1.0", "CI_COMMIT_SHA": "abc", "CI_ENVIRONMENT_NAME": "staging"}
    else:
        script = jenkins_gate()
        own = {"GATE_VERSION": "v1.1.0", "VERSION": "v1.1.0", "COMMIT": "abc", "GATE_ENVIRONMENT": "staging"}
    ended = runner.run([*BASH, script], {**settings, **own})
    assert ended.code == 6, ended.log
    assert "error: staging: HELD: too few requests" in ended.log
    assert (server / "prepared").read_text() == "staging v1.1.0 abc\n"


def test_every_setting_is_handed_over_in_every_recipe() -> None:
    names = re.findall(r"variables: >-\n((?: {12}.*\n)+)", WORKFLOW.read_text(encoding="utf-8"))
    assert len({" ".join(text.split()) for text in names}) == 1
    wanted = names[0].split()
    for recipe in ("gitlab", "jenkins"):
        found = re.search(r'GATE_VARIABLES="([^"]+)"', RECIPES[recipe])
        assert found is not None
        assert found[1].split() == wanted


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/", "/api/health") else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def outside() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def step(job: str, name: str) -> str:
    (found,) = [step for step in parsed(WORKFLOW)["jobs"][job]["steps"] if name in step.get("name", "")]
    return str(found["run"])


@pytest.mark.parametrize(("frontend", "backend", "code"), [("/", "/api", 0), ("/gone", "/api", 22), ("/", "/gone", 22)])
def test_what_cannot_be_seen_from_outside_is_red(
    outside: str, runner: Runner, frontend: str, backend: str, code: int
) -> None:
    urls = {"FRONTEND_URL": outside + frontend, "BACKEND_URL": outside + backend, "NO_PROXY": "127.0.0.1"}
    assert runner.run([*BASH, step("production", "from outside")], urls).code == code


def attached(runner: Runner, version: str, tags: list[str]) -> tuple[Ended, list[str], str]:
    """The step after deployment 7, in a repository with these tags and no release: how it ended, what ``gh`` was asked
    for, and the manifest's SHA-256 as the gate sealed it."""
    folder = runner.workspace / "reports" / "production" / "7"
    (folder / "logs").mkdir(parents=True)
    (folder / "report.html").write_text("the report")
    (folder / "logs" / "web.log").write_text("a line")
    sha256 = bundle.seal(folder, "production", 7, datetime(2026, 11, 28, tzinfo=UTC))
    tool = runner.workspace / "bin" / "gh"
    tool.parent.mkdir()
    refs = "\n".join(f"refs/tags/{tag}" for tag in tags)
    tool.write_text(f'#!/bin/sh\necho "$*" >>called\ntest "$1" != api || echo "{refs}"\ntest "$2" != view\n')
    tool.chmod(0o755)
    given = {
        "VERSION": version,
        "DEPLOYMENT": "7",
        "REPORT": "reports/production/7/report.html",
        "GITHUB_REPOSITORY": "acme/store",
        "PATH": f"{tool.parent}:{runner.environment()['PATH']}",
    }
    ended = runner.run([*BASH, step("production", "attach the report")], given)
    return ended, (runner.workspace / "called").read_text().splitlines(), sha256


@pytest.mark.parametrize("version", ["v1.1.0", "1.1.0"], ids=["of a pushed tag", "asked for by hand"])
def test_the_report_is_attached_to_the_release_and_can_be_proven_as_it_lies_there(runner: Runner, version: str) -> None:
    ended, called, sha256 = attached(runner, version, ["v1.1.0", "v1.1.0-rc1"])
    assert ended.code == 0, ended.log
    assert called[0].startswith("api repos/acme/store/git/matching-refs/tags/v1.1.0")
    assert called[1].startswith("release view v1.1.0")
    assert called[2].startswith("release create v1.1.0 --verify-tag")
    assert called[3] == "release upload v1.1.0 production-7.html production-7.zip --clobber"
    assert (runner.workspace / "production-7.html").read_text() == "the report"
    assert verify.main([str(runner.workspace / "production-7.zip"), sha256]) == 0


def test_where_there_is_no_such_tag_the_summary_says_that_nothing_is_attached(runner: Runner) -> None:
    ended, called, _ = attached(runner, "1.1.0", ["v1.1.0-rc1"])
    assert (ended.code, len(called)) == (0, 1)
    assert "No tag v1.1.0, so no release: the report of deployment 7 is attached to none." in ended.summary
