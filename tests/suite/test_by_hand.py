"""``pytest checks/`` and ``pytest smoke/`` without the gate: the verdict is printed, and the exit code says it."""

from __future__ import annotations

import pytest

from tests.suite.project import Project

GOOD = "def test_good(): pass\n"


def test_good_checks_are_go(project: Project) -> None:
    ran = project.cases(GOOD).by_hand("checks")
    assert ran.code == 0
    assert "\nGO\n  1 of 1 cases passed" in ran.out
    assert "Security" in ran.out
    assert "100.0   1 case" in ran.out
    assert "nothing applies here" in ran.out


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("def test_a(): pytest.skip('no')\n", "none of 1 cases measured anything"),
        ("@pytest.mark.xfail\ndef test_a(): assert False\n", "none of 1 cases measured anything"),
        ("def check_a(): pass\n", "no case was collected"),
        ("@pytest.mark.critical\ndef test_a(inconclusive): inconclusive('no tool')\n" + GOOD, "could not tell: 1 case"),
        ("def test_a(): assert 2 < 1, 'two'\n" + GOOD, "readiness 50 of 100 is below the minimum of 90"),
        ("@pytest.mark.critcal\ndef test_a(): pass\n", "the suite did not run to its end"),
    ],
)
def test_no_go_is_an_exit_code(project: Project, text: str, because: str) -> None:
    ran = project.cases(text).by_hand("checks")
    assert ran.code in (1, 2)
    assert "NO-GO" in ran.out
    assert because in ran.out


def test_gaps_are_listed_most_severe_first(project: Project) -> None:
    text = """
    @pytest.mark.minor
    def test_small(): assert False, "small"
    @pytest.mark.critical
    def test_big(): assert False, "big"
    """
    ran = project.cases(text).by_hand("checks")
    critical = ran.out.index("critical  Security  checks/test_made_up.py::test_big: big")
    assert critical < ran.out.index("minor     Security  checks/test_made_up.py::test_small: small")


def test_workers_say_the_same(project: Project) -> None:
    text = GOOD + "@pytest.mark.critical\ndef test_a(): assert False, 'fatal'\n"
    alone, spread = (project.cases(text).by_hand("checks", *options) for options in ([], ["-n", "2"]))
    assert alone.code == spread.code == 1
    verdicts = [ran.out.partition("deploy gate: here")[2].partition("short test summary")[0] for ran in (alone, spread)]
    assert verdicts[0] == verdicts[1]
    assert "critical: a: fatal" in verdicts[0]


def test_crashed_worker_is_no_go(project: Project) -> None:
    text = GOOD + "def test_a():\n    import os\n    os._exit(0)\n"
    ran = project.cases(text).by_hand("checks", "-n", "1", "--max-worker-restart=0")
    assert ran.code != 0
    assert "NO-GO" in ran.out
    assert "the checker itself broke in 1 case" in ran.out


@pytest.mark.parametrize("part", [["-k", "good"], ["-m", "critical"], ["checks/test_made_up.py"]])
def test_a_part_of_a_suite_is_never_go(project: Project, part: list[str]) -> None:
    text = "@pytest.mark.critical\ndef test_good(): pass\ndef test_bad(): assert False\n"
    if part[0].startswith("checks"):
        text = text.replace("assert False", "pass")
    ran = project.cases(text).by_hand(*(part if part[0].startswith("checks") else ["checks", *part]))
    assert ran.code == 0
    assert "NO VERDICT" in ran.out
    assert "\nGO\n" not in ran.out


def test_smoke_tests_without_anything_that_serves(project: Project) -> None:
    """Before the first deployment every smoke test fails, and says what to do."""
    ran = project.cases("@pytest.mark.critical\ndef test_a(app): pass\n", "smoke/test_a.py").by_hand("smoke")
    assert ran.code == 1
    assert "\nNO-GO  (in a deployment: ROLLBACK)\n" in ran.out
    assert "no release serves in here. Next: python deploy_gate.py here --version VERSION" in ran.out


def test_checks_and_smoke_tests_do_not_mix(project: Project) -> None:
    project.cases(GOOD).cases(GOOD, "smoke/test_a.py")
    ran = project.by_hand("checks", "smoke")
    assert ran.code != 0
    assert "run them one after the other: pytest checks, pytest smoke" in ran.out


def test_which_environment(project: Project) -> None:
    text = (project.root / "environments/here.toml").read_text()
    project.cases("def test_a(environment): assert environment.name == 'there'\n").write(
        "environments/there.toml", text
    )
    asked = project.by_hand("checks")
    assert asked.code == 4
    assert "which environment? There are here, there. Next: add --environment here" in asked.err
    assert project.by_hand("checks", "--environment", "there").code == 0
    unknown = project.by_hand("checks", "--environment", "nowhere")
    assert unknown.code == 4
    assert "no environment 'nowhere'; there are: here, there" in unknown.err


def test_broken_environment_file(project: Project) -> None:
    project.cases(GOOD).configure('[databse]\nurl = "x"\n')
    ran = project.by_hand("checks")
    assert ran.code == 4
    assert "environments/here.toml: databse: unknown key" in ran.err


def test_release_to_check(project: Project) -> None:
    project.cases("def test_a(release): assert release.version == '1.0.0'\n")
    none = project.by_hand("checks")
    assert none.code == 1
    assert "there is no release to judge in releases. Next: add --release VERSION" in none.out
    for version in ("0.9.0", "1.0.0"):
        project.write(
            f"releases/{version}/release.json", f'{{"version": "{version}", "digest": "sha256:0", "files": {{}}}}'
        )
    assert project.by_hand("checks").code == 0
    assert "0.9.0" in project.by_hand("checks", "--release", "v0.9.0").out
    missing = project.by_hand("checks", "--release", "7.0.0")
    assert missing.code == 1
    assert "no release 7.0.0" in missing.out


def test_listing_needs_no_verdict(project: Project) -> None:
    ran = project.cases(GOOD).by_hand("checks", "--collect-only")
    assert ran.code == 0
    assert "deploy gate" not in ran.out


@pytest.mark.parametrize("option", ["--help", "--version", "--markers"])
def test_asking_about_pytest_needs_no_environment(project: Project, option: str) -> None:
    project.write("environments/here.toml", "broken")
    assert project.by_hand(option).code == 0
