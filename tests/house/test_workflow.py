"""The workflow deploys: its jobs prove before they deploy, its settings are the CI's, its actions are pinned."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".github" / "workflows" / "deploy.yml"
ACTION = ROOT / ".github" / "actions" / "deploy-gate" / "action.yml"
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW: dict[str, Any] = YAML(typ="safe").load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
DEPLOYING = ["staging", "production"]
SETTINGS = {
    "SSH_PRIVATE_KEY",
    "SERVER_HOST",
    "SERVER_USER",
    "SERVER_HOST_KEY",
    "DOCKER_SERVER",
    "DEPLOY_PATH",
    "BACKEND_URL",
    "FRONTEND_URL",
    "SLACK_WEBHOOK_URL",
}


def only(job: str, key: str, value: str) -> dict[str, Any]:
    """The one step of a job whose ``key`` begins so."""
    (found,) = [step for step in JOBS[job]["steps"] if str(step.get(key, "")).startswith(value)]
    assert isinstance(found, dict)
    return found


def test_five_jobs_each_after_the_one_that_proves_it() -> None:
    needs = {name: job.get("needs") for name, job in JOBS.items()}
    assert needs == {
        "test": None,
        "security": None,
        "validate": ["test", "security"],
        "staging": "validate",
        "production": "staging",
    }
    assert any(step.get("run", "").startswith("python -m pytest checks/ ") for step in JOBS["validate"]["steps"])


@pytest.mark.parametrize("name", DEPLOYING)
def test_a_deployment_is_approved_is_alone_and_ends_in_time(name: str) -> None:
    job = JOBS[name]
    assert job["environment"]["name"] == name  # its required reviewers approve
    assert job["concurrency"] == {"group": name, "cancel-in-progress": False}
    assert "refs/tags/v" in job["if"]
    assert job["timeout-minutes"] <= 120


@pytest.mark.parametrize("name", DEPLOYING)
def test_a_deployment_goes_through_the_action_and_its_report_is_kept(name: str) -> None:
    step = only(name, "uses", "./.github/actions/deploy-gate")
    given = step["with"]
    assert (given["environment"], given["prepare"]) == (name, f"sh example/store/prepare.sh {name}")
    assert set(given["variables"].split()) <= {*step["env"], *WORKFLOW["env"]}
    assert only(name, "uses", "actions/upload-artifact")["if"] == "always()"
    attached = [step for step in JOBS[name]["steps"] if "gh release upload" in step.get("run", "")]
    assert len(attached) == (name == "production")


@pytest.mark.parametrize("name", DEPLOYING)
def test_settings_are_the_cis_and_no_secret_is_a_variable(name: str) -> None:
    job = TEXT.partition(f"\n  {name}:\n")[2].partition("\n  production:\n")[0]
    used = set(re.findall(r"(?:vars|secrets)\.([A-Z_]+)", job))
    assert used >= SETTINGS
    for secret in ("SSH_PRIVATE_KEY", "SLACK_WEBHOOK_URL", "DATABASE_URL"):
        assert f"vars.{secret}" not in job
    for text in (TEXT, ACTION.read_text(encoding="utf-8")):
        assert not re.search(r"://(?!\$)", text)


def test_what_is_deployed_is_built_once_and_production_takes_it() -> None:
    """The variables that a build reads are handed over; an image is pushed where production looks for it."""
    staging, production, server = (
        tomllib.loads((ROOT / "environments" / name).read_text(encoding="utf-8"))
        for name in ("staging.toml", "production.toml", "server.toml.sample")
    )
    assert staging["releases"]["build"] == [
        "{python}",
        "example/store/image.py",
        "{version}",
        "{image}:{tag}",
        "--push",
    ]
    assert production["releases"] == {"image": staging["releases"]["image"]}
    assert server["releases"]["build"][1] == "example/store/build.py"
    for name in DEPLOYING:  # who wrote the commit the action adds by itself
        given = only(name, "uses", "./.github/actions/deploy-gate")
        assert {"VERSION", "COMMIT"} <= set(given["with"]["variables"].split())
        assert given["env"]["COMMIT"] == "${{ github.sha }}"


def test_permissions_are_the_least() -> None:
    assert WORKFLOW["permissions"] == {}
    granted = {name: job["permissions"] for name, job in JOBS.items()}
    assert granted.pop("production") == {"contents": "write"}  # for the report at the release
    assert all(found == {"contents": "read"} for found in granted.values())
    for job in JOBS.values():
        for step in job["steps"]:
            if str(step.get("uses", "")).startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", [FILE, ACTION], ids=["workflow", "action"])
def test_actions_are_pinned_by_commit(file: Path) -> None:
    used = re.findall(r"uses: (\S+)", file.read_text(encoding="utf-8"))
    assert used
    for name in used:
        assert name.startswith("./") or re.fullmatch(r"[\w/.-]+@[0-9a-f]{40}", name) or "OWNER" in name, name


def test_the_checks_find_what_the_tests_wrote() -> None:
    production = tomllib.loads((ROOT / "environments" / "production.toml").read_text(encoding="utf-8"))
    wanted = Path(production["pipeline"]["test_results"])
    assert f"--junitxml={wanted}" in only("test", "name", "all other tests")["run"]
    for name in ("validate", *DEPLOYING):
        assert only(name, "uses", "actions/download-artifact")["with"]["path"] == str(wanted.parent)
    for name in DEPLOYING:  # git does not track it
        assert only(name, "uses", "./.github/actions/deploy-gate")["with"]["files"] == str(wanted)


@pytest.mark.parametrize(
    "command", [["actionlint"], ["zizmor", "--offline", "--quiet", ACTION]], ids=lambda argv: argv[0]
)
def test_linters_find_nothing(command: list[str]) -> None:
    program = Path(sysconfig.get_path("scripts")) / command[0]
    assert program.is_file(), f"{command[0]} is not installed: make .venv/dev.stamp"
    done = subprocess.run([program, *command[1:], FILE], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout.decode()
