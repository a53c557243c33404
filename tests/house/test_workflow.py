"""The workflow deploys: its jobs run where the releases are, and the checks find what the tests said."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".github" / "workflows" / "deploy.yml"
TEXT = FILE.read_text(encoding="utf-8")
JOBS = dict(re.findall(r"^  ([a-z]+):\n((?:    .*\n|\n)+)", TEXT.partition("\njobs:\n")[2] + "\n", re.M))


def test_five_jobs_each_after_the_one_that_proves_it() -> None:
    assert list(JOBS) == ["test", "security", "validate", "staging", "production"]
    needs = {name: re.findall(r"^    needs: (.+)$", job, re.M) for name, job in JOBS.items()}
    assert (needs["staging"], needs["production"]) == (["validate"], ["staging"])


@pytest.mark.parametrize("name", ["staging", "production"])
def test_a_deployment_runs_on_the_server_with_its_release_built_first(name: str) -> None:
    job = JOBS[name]
    assert f"runs-on: [self-hosted, {name}]" in job
    built, deployed = job.index("example/store/build.py"), job.index(f"deploy_gate.py {name} --version")
    assert job.index("actions/download-artifact") < built < deployed
    assert '--into "$RELEASES/${VERSION#v}"' in job
    # Without it the runner ends the proxy and the release together with the job.
    assert job.count('RUNNER_TRACKING_ID: ""') == job.count(f"deploy_gate.py {name} ")


def test_the_checks_find_what_the_tests_wrote() -> None:
    production = tomllib.loads((ROOT / "environments" / "production.toml").read_text(encoding="utf-8"))
    wanted = Path(production["pipeline"]["test_results"])
    assert f"--junitxml={wanted}" in JOBS["test"]
    for name in ("validate", "staging", "production"):
        assert f"path: {wanted.parent}\n" in JOBS[name]


@pytest.mark.parametrize("command", [["actionlint"], ["zizmor", "--offline", "--quiet"]], ids=lambda argv: argv[0])
def test_linters_find_nothing(command: list[str]) -> None:
    program = Path(sysconfig.get_path("scripts")) / command[0]
    done = subprocess.run([program, *command[1:], FILE], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout.decode()
