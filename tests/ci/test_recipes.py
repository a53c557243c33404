"""The recipes of docs/ci.md and the workflow's own steps: well-formed, and their commands do what they say."""

from __future__ import annotations

import http.server
import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.ci.runner import ACTION, BASH, ROOT, WORKFLOW, Runner, parsed
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


def test_the_report_is_attached_to_the_release(runner: Runner) -> None:
    report = runner.workspace / "reports" / "production" / "7" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("the report")
    tool = runner.workspace / "bin" / "gh"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$*" >>called\ntest "$2" != view\n')  # there is no release yet
    tool.chmod(0o755)
    given = {"TAG": "v1.1.0", "DEPLOYMENT": "7", "REPORT": "reports/production/7/report.html"}
    path = f"{tool.parent}:{runner.environment()['PATH']}"
    assert runner.run([*BASH, step("production", "attach the report")], {**given, "PATH": path}).code == 0
    called = (runner.workspace / "called").read_text().splitlines()
    assert called[0].startswith("release view v1.1.0")
    assert called[1].startswith("release create v1.1.0 --verify-tag")
    assert called[2].startswith("release upload v1.1.0 report-production-7.html evidence-production-7.tar.gz")
    assert (runner.workspace / "report-production-7.html").read_text() == "the report"
