"""Ways in which a suite looks green to pytest although nothing was proven: the gate says NO-GO to each."""

from __future__ import annotations

import dataclasses
import time

import pytest

from gate.judging import readiness, verdict
from gate.results import CaseOutcome, Decision, SuiteResult, Verdict
from tests.suite.project import Project, case, outcomes

GOOD = """
def test_good(): pass
"""


def before(result: SuiteResult) -> Verdict:
    return verdict.before(result, readiness.assess(result, {}), 90)


def after(result: SuiteResult) -> Verdict:
    return verdict.after(result, ())


def refused(result: SuiteResult, because: str) -> None:
    """Neither before a deployment nor after it is this a pass, and the reason says why."""
    for judged, decision in ((before(result), Decision.NO_GO), (after(result), Decision.HOLD)):
        assert judged.decision is decision
        assert because in " ".join(reason.text for reason in judged.reasons)


def test_the_good_case_alone_is_go(project: Project) -> None:
    result = project.cases(GOOD).run()
    assert before(result).decision is Decision.GO
    assert after(result).decision is Decision.GO


NOTHING_MEASURED = """
def test_skipped(): pytest.skip("no")
@pytest.mark.requires("cache")
def test_not_applicable(): pass
@pytest.mark.xfail
def test_expected_failure(): assert False
def test_inconclusive(inconclusive): inconclusive("no tool")
"""


def test_nothing_measured(project: Project) -> None:
    """Alone or all together, cases that pytest shows in yellow and ends with exit code 0."""
    result = project.cases(NOTHING_MEASURED).run()
    refused(result, "none of 4 cases measured anything")
    for only in result.cases:
        refused(dataclasses.replace(result, planned=(only.id,), cases=(only,)), "none of 1 cases measured anything")


def test_one_skipped_among_good_ones(project: Project) -> None:
    result = project.cases(GOOD + "def test_a(): pytest.skip('no time')\n").run()
    refused(result, "required but skipped: 1 case: a: no time")


def test_critical_that_could_not_tell(project: Project) -> None:
    text = GOOD + "@pytest.mark.critical\ndef test_a(inconclusive): inconclusive('no tool')\n"
    refused(project.cases(text).run(), "critical but could not tell: 1 case")


def test_nothing_collected(project: Project) -> None:
    refused(project.cases("def check_a(): pass\n").run(), "no case was collected")


def test_folder_is_missing(project: Project) -> None:
    (project.root / "checks").rmdir()
    refused(project.run(), "exit code 4")


def test_exhausted_parameters(project: Project) -> None:
    result = project.cases(GOOD + "@pytest.mark.parametrize('n', iter(()))\ndef test_a(n): pass\n").run()
    refused(result, "the suite did not run to its end")


def test_file_that_cannot_be_imported(project: Project) -> None:
    result = project.cases(GOOD).write("checks/test_other.py", "import no_such_module\n").run()
    refused(result, "checks/test_other.py: ModuleNotFoundError: No module named 'no_such_module'")


def test_two_files_of_one_name(project: Project) -> None:
    result = project.cases(GOOD, "checks/one/test_a.py").cases(GOOD, "checks/two/test_a.py").run()
    assert before(result).decision is Decision.GO
    assert len(result.cases) == 2


def test_unknown_marker(project: Project) -> None:
    refused(project.cases(GOOD + "@pytest.mark.critcal\ndef test_a(): pass\n").run(), "critcal")


MEANINGLESS_MARKERS = """
@pytest.mark.critical
@pytest.mark.minor
def test_two(): pass
@pytest.mark.category("Speed")
def test_category(): pass
@pytest.mark.category()
def test_no_category(): pass
@pytest.mark.requires("moon")
def test_requires(): pass
@pytest.mark.requires()
def test_requires_nothing(): pass
@pytest.mark.requires("option:")
def test_requires_no_option(): pass
@pytest.mark.critical("very")
def test_argument(): pass
@pytest.mark.critical
def chek_a(): pass
@pytest.mark.critical
class Group:
    def test_a(self): pass
"""


@pytest.mark.parametrize("processes", ["", " -n 1"])
def test_markers_that_mean_nothing(project: Project, processes: str) -> None:
    """All are told at once, and no case runs."""
    workers(project, processes)
    result = project.cases(GOOD + MEANINGLESS_MARKERS).write("checks/test_b.py", "def test_b(): pass\n").run()
    for because in (
        "::test_two: is critical and minor; write one severity",
        "::test_category: category('Speed') is unknown; the categories are Deployment Scripts,",
        "::test_no_category: category() is unknown",
        "::test_requires: requires('moon') is unknown; known are ",
        "::test_requires_nothing: requires() is unknown",
        "::test_requires_no_option: requires('option:') is unknown",
        "::test_argument: critical('very'): write critical without arguments",
        "chek_a: has the marker critical, but pytest does not collect it",
        "Group: has the marker critical, but pytest does not collect it",
        "test_b.py::test_b: has no category; write pytestmark",
    ):
        refused(result, because)
    assert not result.cases


RETURNED = """
@pytest.mark.critical
def test_a(): return 1 > 2
"""
NEVER_MADE = """
@pytest.mark.critical
class TestGroup:
    def __init__(self): self.wanted = 1
    def test_a(self): assert self.wanted == 2
"""


@pytest.mark.parametrize(("processes", "silenced"), [("", ""), (" -n 1", "filterwarnings =\n    ignore\n")])
class TestWhatPytestOnlyWarnsOf:
    def test_finding_is_returned(self, project: Project, processes: str, silenced: str) -> None:
        """A case that returns its finding, where it should assert it, passes whatever it finds."""
        workers(project, processes, silenced)
        result = project.cases(GOOD + RETURNED).run()
        refused(result, "a: PytestReturnNotNoneWarning")
        assert case(result, "test_a").outcome is CaseOutcome.ERROR

    def test_class_is_never_made(self, project: Project, processes: str, silenced: str) -> None:
        """pytest leaves a class with a constructor out, and with it every case in it."""
        workers(project, processes, silenced)
        refused(project.cases(GOOD + NEVER_MADE).run(), "cannot collect test class 'TestGroup'")


def test_process_ends_itself(project: Project) -> None:
    result = project.cases(GOOD + "def test_a():\n    import os\n    os._exit(0)\ndef test_b(): pass\n").run()
    refused(result, "pytest ended with exit code 0 while running checks/test_made_up.py::test_a")
    assert result.missing == ("checks/test_made_up.py::test_a", "checks/test_made_up.py::test_b")


def test_process_is_killed(project: Project) -> None:
    text = "def test_a():\n    import os\n    os.kill(os.getpid(), 9)\n"
    refused(project.cases(GOOD + text).run(), "exit code -9 while running checks/test_made_up.py::test_a")


def test_session_ended_by_a_case(project: Project) -> None:
    refused(project.cases("def test_a(): pytest.exit('enough', 0)\n" + GOOD).run(), "planned cases never reported")


def test_hang(project: Project) -> None:
    project.configure("").write(
        "environments/here.toml",
        (project.root / "environments/here.toml")
        .read_text()
        .replace('["checks"], timeout = "60s"', '["checks"], timeout = "8s"'),
    )
    began = time.monotonic()
    result = project.cases(GOOD + "def test_a():\n    import time\n    time.sleep(60)\n").run()
    assert time.monotonic() - began < 40
    refused(result, "did not end within 8 s while running checks/test_made_up.py::test_a")


def test_stray_configuration(project: Project) -> None:
    """An empty pytest.toml would win over pytest.ini, and with it our markers and options would be gone."""
    for stray in ("pytest.toml", ".pytest.toml", ".pytest.ini", "tox.ini"):
        project.write(stray, "")
    refused(project.cases(GOOD + "@pytest.mark.critcal\ndef test_a(): pass\n").run(), "critcal")


def test_surroundings_do_not_change_a_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    monkeypatch.setenv("CI_TOKEN", "a-token-of-the-ci")
    text = "def test_a():\n    import os\n    assert 'CI_TOKEN' not in os.environ\n"
    assert outcomes(project.cases(text).run()) == {"test_a": CaseOutcome.PASSED}


def test_missing_environment_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MADE_UP_KEY")
    refused(project.cases(GOOD).run(), "MADE_UP_KEY is not set")


def test_crashed_worker(project: Project) -> None:
    """Under xdist a worker that dies leaves one report, without a label and without a teardown."""
    workers(project, " -n 1 --max-worker-restart=0")
    result = project.cases("def test_a():\n    import os\n    os._exit(0)\n" + GOOD).run()
    crashed = case(result, "test_a")
    assert crashed.outcome is CaseOutcome.ERROR
    assert before(result).decision is Decision.NO_GO
    assert after(result).decision is Decision.HOLD
    page = (project.out / "checks.html").read_text()
    assert "1 Failed" in page
    assert "test_a" in page


def test_file_that_cannot_be_imported_by_a_worker(project: Project) -> None:
    workers(project, " -n 1")
    refused(project.cases(GOOD + "import no_such_module\n").run(), "no_such_module")


def workers(project: Project, options: str, settings: str = "") -> None:
    """Makes the project's runs use xdist, and other settings of pytest beside the gate's."""
    ini = project.root / "pytest.ini"
    ini.write_text(ini.read_text().replace("--tb=native", f"--tb=native{options}") + settings)
