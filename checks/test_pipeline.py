"""CI/CD Pipeline: the workflow files, and what the CI said about this commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # the file is our own CI's

import pytest

pytestmark = pytest.mark.category("CI/CD Pipeline")

# Servers of the job itself are no deployment's address.
_OWN_HOSTS = re.compile(r"(localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?=[:/\s'\"]|$)")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://(?:[^\s/@'\"$]*@)?(?P<host>[^\s'\"]*)", re.I)
_ALLOWED = re.compile(r"#\s*allow-url\b")


@pytest.fixture
def workflows(environment: Any, project: Path) -> list[Path]:
    folder = project / environment.pipeline.workflows
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    if not files:
        pytest.fail(
            f"{environment.pipeline.workflows}: no workflow file. Write one, or correct [pipeline] workflows",
            pytrace=False,
        )
    return files


@pytest.mark.requires("workflows")
def test_workflows_are_lint_clean(workflows: list[Path], workflow_findings: Any, no_findings: Any) -> None:
    """actionlint and zizmor find no fault in the workflow files."""
    no_findings(workflow_findings(workflows), "Correct the workflow file.")


@pytest.mark.requires("workflows")
def test_workflows_hold_no_url_or_secret(
    workflows: list[Path], project: Path, environment: Any, secret_findings: Any, no_faults: Any
) -> None:
    """No address and no secret stands in a workflow file: both come from the CI's variables and secrets."""
    found = []
    for file in workflows:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            code = "" if line.lstrip().startswith("#") or _ALLOWED.search(line) else line
            found += [
                f"{file.relative_to(project)}:{number}: a URL is written out"
                for match in _URL.finditer(code)
                if not match["host"].startswith("$") and not _OWN_HOSTS.match(match["host"])
            ]
    no_faults(found, "Use a variable of the CI (vars.NAME), or say why not with `# allow-url: REASON` on the line.")
    no_faults(
        [str(item) for item in secret_findings([environment.pipeline.workflows])],
        "Use a secret of the CI (secrets.NAME), and change the one that leaked.",
    )


@pytest.mark.critical
@pytest.mark.requires("test_results")
def test_tests_of_the_commit_are_green(environment: Any, project: Path, context: Any, warn: Any) -> None:
    """The commit's own tests ran, and none failed."""
    name = environment.pipeline.test_results
    try:
        root = ET.fromstring((project / name).read_bytes())  # noqa: S314
    except (OSError, ET.ParseError) as fault:
        pytest.fail(
            f"{name}: no JUnit XML ({type(fault).__name__}). Run the tests with --junitxml={name} first", pytrace=False
        )
    cases = list(root.iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    first = f", first {bad[0].get('classname')}.{bad[0].get('name')}" if bad else ""
    # A crash of the runner is counted on the suite only, without a case of its own.
    counted = sum(int(suite.get(kind) or 0) for suite in root.iter("testsuite") for kind in ("failures", "errors"))
    worst = max(len(bad), counted)
    assert not worst, f"{name}: {worst} of {len(cases)} tests failed{first}. Repair the commit"
    assert cases, f"{name}: not one test ran. Run the commit's tests"
    assert len(skipped) < len(cases), f"{name}: all {len(cases)} tests were skipped. Run the commit's tests"
    tested = [item.get("value") for item in root.iter("property") if item.get("name") == "commit"]
    commit = context.release.commit if context.release else None
    if not tested or not commit:
        warn(f"{len(cases)} tests green, but whether of this commit cannot be told: the file names none")
    elif not any(str(commit).startswith(str(value)) or str(value).startswith(str(commit)) for value in tested):
        pytest.fail(
            f"{name}: the tests ran on commit {tested[0]}, the release is of {commit}. Run its tests", pytrace=False
        )
