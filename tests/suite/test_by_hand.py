"""``pytest checks/`` and ``pytest smoke/`` without the gate: the verdict is printed, and the exit code says it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gate import releases
from gate.engines.base import Instance
from gate.engines.instances import Instances
from gate.machine import shell
from gate.routing.place import Folder
from gate.routing.traffic import Traffic
from tests.suite.project import Project

GOOD = "def test_good(): pass\n"
MANIFEST = '{"version": "VERSION", "digest": "sha256:0123456789abcdef", "files": {}}'


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
        ("def test_a(inconclusive): inconclusive('no tool')\n", "none of 1 cases measured anything"),
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
    assert "\nNO VERDICT  (part of a suite)\n  " in ran.out
    assert "\nGO" not in ran.out


def test_a_part_seen_by_workers_is_a_part(project: Project) -> None:
    """The process that gives the verdict deselects nothing itself."""
    project.cases(GOOD + "@pytest.mark.critical\ndef test_bad(): assert False\n")
    for part in (["-k", "good"], ["--deselect", "checks/test_made_up.py::test_bad"]):
        assert "\nNO VERDICT" in project.by_hand("checks", "-n", "1", *part).out


def test_files_that_are_ignored_leave_a_part(project: Project) -> None:
    project.cases(GOOD).cases(GOOD, "checks/test_other.py")
    assert "\nNO VERDICT" in project.by_hand("checks", "--ignore", "checks/test_other.py").out


def test_readiness_is_not_asked_of_a_part(project: Project) -> None:
    doubtful = "def test_a(warn): warn('hm')\n"
    ran = project.cases(doubtful).by_hand("checks/test_made_up.py")
    assert ran.code == 0
    assert "\nNO VERDICT  (part of a suite)\n  1 of 1 cases passed, 1 with a reservation" in ran.out
    failed = project.cases(GOOD + "def test_b(): assert False\n").by_hand("checks/test_made_up.py")
    assert failed.code == 1
    assert "\nNO VERDICT" in failed.out


@pytest.mark.parametrize(
    "text", ["@pytest.mark.critical\ndef test_a(): assert False\n", "def test_a(): pytest.skip('no')\n"]
)
def test_a_part_can_prove_no_go(project: Project, text: str) -> None:
    ran = project.cases(text + GOOD).by_hand("checks/test_made_up.py")
    assert ran.code == 1
    assert "\nNO-GO\n" in ran.out


def test_go_with_gaps_is_go_to_scripts_too(project: Project) -> None:
    good = "".join(f"@pytest.mark.critical\ndef test_{number}(): pass\n" for number in range(8))
    text = good + "def test_a(): assert False, 'two'\ndef test_b(inconclusive): inconclusive('no tool')\n"
    project.configure("[readiness]\nminimum = 50\n").cases(text)
    for options in ([], ["-n", "2"]):
        ran = project.by_hand("checks", *options)
        assert ran.code == 0
        assert "\nGO with 2 gaps\n  8 of 10 cases passed, 1 could not tell\n" in ran.out


def usage_error(ran: shell.Finished, *words: str) -> None:
    """One sentence and no case: the sentence stands once, and exit code 4."""
    assert ran.code == 4
    assert ran.err.count("ERROR") == 1
    for text in words:
        assert (ran.out + ran.err).count(text) == 1
    assert "Traceback" not in ran.out + ran.err
    assert "NO-GO" not in ran.out


def test_smoke_tests_without_anything_that_serves(project: Project) -> None:
    project.cases("def test_a(app): pass\n", "smoke/test_a.py")
    for arguments in (["smoke"], ["smoke/test_a.py::test_a"], ["smoke", "-n", "2"]):
        usage_error(
            project.by_hand(*arguments),
            "no release serves in here, so there is nothing to test. "
            "Next: python deploy_gate.py here --version VERSION",
        )


@pytest.fixture
def served(project: Project) -> Iterator[Project]:
    """1.0.0 serves, as far as the gate's own files and an open port tell."""
    for version in ("1.0.0", "1.1.0", "1.1.0+breaks-api"):
        project.write(f"releases/{version}/release.json", MANIFEST.replace("VERSION", version))
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = (project.root / "environments/here.toml").read_text()
        port = server.getsockname()[1]
        project.write("environments/here.toml", text.replace('127.0.0.1:1"', f'127.0.0.1:{port}"'))
        environment = project.environment
        release = releases.read(project.root / "releases/1.0.0")
        place = str(release.folder)
        instance = Instance("r1", release.version, release.digest, release.commit, place, datetime.now(UTC))
        Instances(Folder(environment.state_folder)).remember(instance, environment.services, environment.redactor)
        traffic = Traffic(environment)
        traffic.prepare()
        traffic.set_stable(instance.id)
        yield project


def test_smoke_tests_say_what_they_are_about(served: Project) -> None:
    served.cases(GOOD, "smoke/test_a.py")
    for arguments in ([], ["--release", "v1.0.0"], ["-q"], ["-n", "1"]):
        ran = served.by_hand("smoke", *arguments)
        assert ran.code == 0, ran.out + ran.err
        assert "\nsmoke tests of 1.0.0 (sha256:0123456789ab…) at the front door\n" in ran.out


def test_smoke_tests_of_a_release_that_does_not_serve(served: Project) -> None:
    served.cases(GOOD, "smoke/test_a.py")
    usage_error(served.by_hand("smoke", "--release", "1.1.0"), "that is 1.0.0. Next: leave --release out")
    usage_error(served.by_hand("smoke", "--release", "v1;x"), "Next: python deploy_gate.py here releases")


def test_smoke_tests_when_nothing_answers(served: Project) -> None:
    served.cases("def test_a(app): pass\ndef test_b(app): pass\n", "smoke/test_a.py")
    text = (served.root / "environments/here.toml").read_text()
    served.write("environments/here.toml", re.sub(r'url = "http://127.0.0.1:\d+"', 'url = "http://127.0.0.1:1"', text))
    usage_error(served.by_hand("smoke"), "nothing answers at http://127.0.0.1:1", "Next: python deploy_gate.py here up")


def test_checks_say_what_they_are_about(served: Project) -> None:
    """The newest one that is no variant; a variant only when it is named."""
    served.cases("def test_a(release): pass\n")
    ran = served.by_hand("checks")
    assert ran.out.count("\nchecks of release 1.1.0 (sha256:0123456789ab…), serves 1.0.0\n") == 2
    assert "checks of release 1.1.0+breaks-api (" in served.by_hand("checks", "--release", "1.1.0+breaks-api").out
    for version in ("1.0.0", "1.1.0"):
        (served.root / f"releases/{version}/release.json").unlink()
    usage_error(served.by_hand("checks"), "which release?", "Next: add --release 1.1.0+breaks-api")


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
    for options in ([], ["-n", "2"]):
        usage_error(project.by_hand("checks", "--release", "7.0.0", *options), "no release 7.0.0")
    usage_error(project.by_hand("checks", "--release", "v1;x"), "'v1;x' is not a version")
    assert project.by_hand("checks", "--release", "7.0.0", "--collect-only").code == 0


def test_listing_needs_no_verdict(project: Project) -> None:
    ran = project.cases(GOOD).by_hand("checks", "--collect-only")
    assert ran.code == 0
    assert "deploy gate" not in ran.out


@pytest.mark.parametrize("option", ["--help", "--version", "--markers"])
def test_asking_about_pytest_needs_no_environment(project: Project, option: str) -> None:
    project.write("environments/here.toml", "broken")
    assert project.by_hand(option).code == 0
